"""Sampling: noise -> [z_2d, z_3d] -> graph -> conformer. No coordinates and no force field come in anywhere."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from latent3d.diffusion.samplers import sample as sample_latents
from latent3d.diffusion.streams import Streams
from latent3d.molecules.molecules import EMPTY, Molecule, Molecules, from_list
from latent3d.run import Run
from latent3d.sampling import CHUNK
from latent3d.systems import Draw
from latent3d.systems.latent3d.conformers import decode_conformers
from latent3d.systems.latent3d.geometry import GeometricAutoencoder
from latent3d.systems.latent3d.graphs import canonical_graph
from latent3d.systems.latent3d.models import load_geometry, load_prior, load_topology
from latent3d.systems.latent3d.prior import LatentDiffusion
from latent3d.systems.latent3d.topology import TopologicalAutoencoder


def sampler(
    weights: dict[str, Path],
    data: Molecules,
    hyperparameters: dict[str, Any],
    run: Run,
    source: Path | None,
) -> Draw:
    """Draw latents, decode graphs, then conformers from graph and z_3d alone. `data` and `source` are not used."""
    topology, geometry = load_topology(weights["topology"], run.device), load_geometry(weights["geometry"], run.device)
    prior = load_prior(weights["diffusion"], run.device)

    def draw(indices: range, seed: int) -> Molecules:
        parts = [
            _sample_chunk(topology, geometry, prior, hyperparameters, run.device, start, seed)
            for start in range(indices.start - indices.start % CHUNK, indices.stop, CHUNK)
        ]
        molecules, status = [m for part in parts for m in part[0]], [s for part in parts for s in part[1]]
        wanted = slice(indices.start % CHUNK, indices.start % CHUNK + len(indices))
        table = {"sample_index": np.array(indices, np.int64), "seed": seed, "status": status[wanted]}
        return from_list(molecules[wanted], pd.DataFrame(table))

    return draw


def _sample_chunk(
    topology: TopologicalAutoencoder,
    geometry: GeometricAutoencoder,
    prior: LatentDiffusion,
    hyperparameters: dict[str, Any],
    device: str,
    start: int,
    seed: int,
) -> tuple[list[Molecule], list[str]]:
    """Samples start ... start + CHUNK - 1: always a whole chunk, so that shapes and hence bytes never differ."""
    noise = partial(Streams.of(seed, range(start, start + CHUNK), device).normal, len(prior.mean))
    z = prior.restore(sample_latents(prior.denoiser, noise, hyperparameters["steps"], hyperparameters["sampler"]))
    latent_2d = topology.code.latent
    decoded = topology.decode(z[:, :latent_2d]).molecules()
    graphs = [canonical_graph(molecule) for molecule in decoded]
    usable = [i for i, graph in enumerate(graphs) if graph is not None]
    placed = decode_conformers(geometry, [graphs[i] for i in usable], z[usable, latent_2d:])
    molecules: list[Molecule] = [EMPTY] * CHUNK
    status = ["decode_failed"] * CHUNK
    for i, molecule in zip(usable, placed, strict=True):
        molecules[i] = molecule
        status[i] = "ok" if np.isfinite(molecule.positions).all() else "nan_coordinates"
    return molecules, status
