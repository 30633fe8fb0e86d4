"""Sampling of point clouds: numbers of atoms as in the training molecules, then the chain, in batches of like size."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from latent3d.data.molecules.molecules import Molecule, Molecules, from_list
from latent3d.diffusion.objectives import Denoiser
from latent3d.diffusion.points import without_gravity
from latent3d.diffusion.samplers import sample as sample_states
from latent3d.diffusion.streams import CHUNK, Streams
from latent3d.graphs.point_clouds import PointCloudBatch, to_molecules
from latent3d.nets.egnn import PAIRS_AT_ONCE

Read = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], PointCloudBatch]


def sample_points(
    denoiser: Denoiser,
    read: Read,
    features: int,
    sizes: Mapping[int, int],
    hyperparameters: dict[str, Any],
    device: str,
    indices: range,
    seed: int,
) -> Molecules:
    """Molecules of the given sample indices, without bonds, with the columns of the contract.

    Args:
        denoiser: of states [B, N, 3 + features].
        read: (z_0, noise, mask) -> clouds: the last step of the chain.
        features: per atom.
        sizes: number of training molecules by number of atoms.
        hyperparameters: sampler, steps.
        device: where the denoiser is.
        indices: sample indices; whole chunks are computed, so that shapes and hence bytes never differ.
        seed: sampling seed.
    """
    molecules: list[Molecule] = []
    size = CHUNK[device]
    for start in range(indices.start - indices.start % size, indices.stop, size):
        streams = Streams.of(seed, range(start, start + size), device)
        counts = draw_counts(sizes, streams.uniform())
        chunk: list[Molecule] = [None] * size  # type: ignore[list-item]
        for rows in batches_by_size(counts, PAIRS_AT_ONCE[device]):
            clouds = _sample_batch(denoiser, read, features, counts[rows], hyperparameters, streams.take(rows))
            for row, molecule in zip(rows, to_molecules(clouds), strict=True):
                chunk[row] = molecule
        molecules += chunk
    skipped = indices.start % size
    molecules = molecules[skipped : skipped + len(indices)]
    status = ["ok" if np.isfinite(molecule.positions).all() else "nan_coordinates" for molecule in molecules]
    return from_list(molecules, pd.DataFrame({"sample_index": np.array(indices), "seed": seed, "status": status}))


def _sample_batch(
    denoiser: Denoiser, read: Read, features: int, counts: np.ndarray, h: dict[str, Any], streams: Streams
) -> PointCloudBatch:
    mask = (torch.arange(counts.max()) < torch.from_numpy(counts)[:, None]).to(streams.device)

    def noise() -> torch.Tensor:
        return without_gravity(streams.normal_atoms(counts.tolist(), 3 + features), mask)

    with torch.no_grad():
        return read(sample_states(denoiser, noise, h["steps"], h["sampler"], mask), noise(), mask)


def draw_counts(sizes: Mapping[int, int], uniform: torch.Tensor) -> np.ndarray:
    """[B] numbers of atoms with the frequencies `sizes`, by inversion of uniform numbers [B]."""
    values = np.array(sorted(sizes))
    cumulative = np.cumsum([sizes[value] for value in values])
    return values[np.searchsorted(cumulative, uniform.numpy() * cumulative[-1], side="right")]


def batches_by_size(counts: np.ndarray, pairs: int) -> list[list[int]]:
    """Rows in batches of similar size with at most so many pairs each (one row at least)."""
    batches: list[list[int]] = []
    for row in np.argsort(-counts, kind="stable").tolist():
        # Sorted from the largest: the first of a batch sets its width.
        if batches and (len(batches[-1]) + 1) * counts[batches[-1][0]] ** 2 <= pairs:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches
