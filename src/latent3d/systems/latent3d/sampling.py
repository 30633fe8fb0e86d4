"""Sampling: noise -> z_2d -> graph -> its own z_2d -> z_3d -> conformer. No coordinates, no force field come in.

Both diffusions are led away from weaker ones (`guide_2d`, `guide_3d`); conformers go through their autoencoder again.
"""

from functools import partial
from pathlib import Path
from typing import Any

import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import EMPTY, Molecule, Molecules
from latent3d.diffusion.latent_diffusion import LatentDiffusion
from latent3d.diffusion.streams import Streams
from latent3d.graphs.molecular_graphs import canonical_graph
from latent3d.systems import Draw
from latent3d.systems.chunks import draw_in_chunks
from latent3d.systems.latent3d.conformers import decode_usable
from latent3d.systems.latent3d.geometry import GeometricAutoencoder
from latent3d.systems.latent3d.models import load_geometry, load_guided_prior, load_topology
from latent3d.systems.latent3d.topology import TopologicalAutoencoder, encode_graphs


def sampler(
    weights: dict[str, Path],
    data: Molecules | None,
    hyperparameters: dict[str, Any],
    run: Run,
    source: Path | None,
) -> Draw:
    """Graphs from z_2d, then conformers from the graph and z_3d alone. `data` and `source` are not used."""
    topology, geometry = load_topology(weights["topology"], run.device), load_geometry(weights["geometry"], run.device)
    priors = [load_guided_prior(code, weights, hyperparameters, run.device) for code in ("2d", "3d")]
    return draw_in_chunks(partial(_sample_chunk, topology, geometry, *priors, hyperparameters), run.device)


def _sample_chunk(
    topology: TopologicalAutoencoder,
    geometry: GeometricAutoencoder,
    prior_2d: LatentDiffusion,
    prior_3d: LatentDiffusion,
    hyperparameters: dict[str, Any],
    streams: Streams,
) -> tuple[list[Molecule], list[str]]:
    """One sample per stream: always a whole chunk, so that shapes and hence bytes never differ."""
    steps, sampler = hyperparameters["steps"], hyperparameters["sampler"]
    nothing = torch.zeros(len(streams), 0, device=streams.device)
    decoded = topology.decode(prior_2d.draw(nothing, streams, steps, sampler)).molecules()
    graphs = [canonical_graph(molecule) for molecule in decoded]
    usable = [i for i, graph in enumerate(graphs) if graph is not None]
    if not usable:
        return [EMPTY] * len(streams), ["decode_failed"] * len(streams)
    found = [graphs[i] for i in usable]
    # The code of the graph itself: z_2d as it was drawn lies off the codes of graphs, and conformations drawn for it
    # would fit another molecule.
    z_2d = encode_graphs(topology, found).to(streams.device)
    z_3d = prior_3d.draw(z_2d, streams.take(usable), steps, sampler)
    return decode_usable(geometry, graphs, z_3d, hyperparameters["decodings"])
