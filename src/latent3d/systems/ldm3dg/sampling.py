"""Sampling: noise -> [z_2d, z_3d] -> graph -> (coordinates of ETKDG, as released) -> conformer."""

from dataclasses import replace
from functools import partial

import torch
from rdkit import rdBase

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import EMPTY, Molecule
from latent3d.data.molecules.status import coordinate_status
from latent3d.diffusion.streams import Streams
from latent3d.systems import Context, Generate, Parts
from latent3d.systems.chunks import in_chunks
from latent3d.systems.ldm3dg.geometry.autoencoder import GeometricAutoencoder
from latent3d.systems.ldm3dg.geometry.conformers import decode_conformers, with_start_coordinates
from latent3d.systems.ldm3dg.geometry.decoder import random_start
from latent3d.systems.ldm3dg.geometry.graphs import read_edge_graphs
from latent3d.systems.ldm3dg.models import load_geometry, load_prior, load_topology
from latent3d.systems.ldm3dg.prior import CodeDiffusion
from latent3d.systems.ldm3dg.settings import Sampling
from latent3d.systems.ldm3dg.topology.autoencoder import TopologicalAutoencoder


def generator(parts: Parts, settings: Sampling, context: Context, run: Run) -> Generate:
    """Graphs from z_2d, then conformers from the graph, z_3d and what the decoder reads. `context`: not used."""
    topology, geometry = load_topology(parts["topology"], run.device), load_geometry(parts["geometry"], run.device)
    prior = load_prior(parts["diffusion"], run.device)
    return in_chunks(partial(_generate_chunk, topology, geometry, prior, settings), run.device)


@torch.no_grad()
def _generate_chunk(
    topology: TopologicalAutoencoder,
    geometry: GeometricAutoencoder,
    prior: CodeDiffusion,
    settings: Sampling,
    streams: Streams,
) -> tuple[list[Molecule], list[str]]:
    """One sample per stream: always a whole chunk, so that shapes and hence bytes never differ."""
    z_2d, z_3d = prior.draw(streams, settings.steps, settings.sampler).split(prior.widths, 1)
    decoded = topology.decode(topology.mean(z_2d) if prior.is_raw else z_2d)
    if geometry.reads_positions:
        with rdBase.BlockLogs():
            seeds = [int(torch.randint(2**31 - 1, (), generator=generator)) for generator in streams.generators]
            decoded = [
                with_start_coordinates(molecule, settings.start, seed)
                for molecule, seed in zip(decoded, seeds, strict=True)
            ]
    graphs = read_edge_graphs(decoded, placed=geometry.reads_positions).to(streams.device)
    starts = [
        random_start(size, streams.generators[row])
        for row, size in zip(graphs.index.tolist(), graphs.sizes.tolist(), strict=True)
    ]
    molecules: list[Molecule] = [EMPTY] * len(streams)
    status = ["decode_failed"] * len(streams)
    if starts:
        rows = torch.from_numpy(graphs.index).to(z_3d.device)
        found = decode_conformers(geometry, graphs, z_3d[rows], torch.cat(starts))
        for row, x in zip(graphs.index.tolist(), found, strict=True):
            molecules[row] = replace(decoded[row], positions=x)
            status[row] = coordinate_status(molecules[row])
    return molecules, status
