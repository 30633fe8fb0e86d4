"""Sampling of point clouds: numbers of atoms as in the training molecules, then the chain, in batches of like size."""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from latent3d.data.molecules.molecules import EMPTY, Molecule
from latent3d.data.molecules.status import coordinate_status
from latent3d.diffusion.model import PredictsX0
from latent3d.diffusion.points import PointCondition, without_gravity
from latent3d.diffusion.samplers import sample as sample_states
from latent3d.diffusion.settings import Sampling
from latent3d.diffusion.streams import Streams
from latent3d.graphs.point_clouds import PointCloudBatch, to_molecules
from latent3d.nets.egnn import PAIRS_AT_ONCE

Decode = Callable[[torch.Tensor, torch.Tensor, PointCondition], PointCloudBatch]


def sample_points(
    model: PredictsX0,
    decode: Decode,
    features: int,
    sizes: Mapping[int, int],
    settings: Sampling,
    streams: Streams,
) -> tuple[list[Molecule], list[str]]:
    """A molecule without bonds and a status for each of the streams of a chunk.

    Args:
        model: of states [B, N, 3 + features] given a `PointCondition`.
        decode: (z_0, noise, condition) -> clouds: the last step of the chain.
        features: per atom.
        sizes: number of training molecules by number of atoms.
        settings: sampler, steps.
        streams: of the chunk, on the model's device.
    """
    counts = draw_counts(sizes, streams.uniform())
    molecules: list[Molecule] = [EMPTY] * len(streams)
    for rows in batches_by_size(counts, PAIRS_AT_ONCE[streams.device]):
        clouds = _sample_batch(model, decode, features, counts[rows], settings, streams.take(rows))
        for row, molecule in zip(rows, to_molecules(clouds), strict=True):
            molecules[row] = molecule
    return molecules, list(map(coordinate_status, molecules))


def _sample_batch(
    model: PredictsX0, decode: Decode, features: int, counts: np.ndarray, settings: Sampling, streams: Streams
) -> PointCloudBatch:
    mask = (torch.arange(counts.max()) < torch.from_numpy(counts)[:, None]).to(streams.device)
    condition = PointCondition(mask)

    def noise() -> torch.Tensor:
        return without_gravity(streams.normal_atoms(counts.tolist(), 3 + features), mask)

    with torch.no_grad():
        z0 = sample_states(model, noise, settings.steps, settings.sampler, condition)
        return decode(z0, noise(), condition)


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
