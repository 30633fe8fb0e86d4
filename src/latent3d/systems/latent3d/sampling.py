"""Sampling: noise -> z_2d -> graph -> its own z_2d -> z_3d -> conformer. No coordinates, no force field come in.

Both diffusions are led away from weaker ones (`guide_2d`, `guide_3d`); conformers go through their autoencoder again.
"""

from functools import partial

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import EMPTY, Molecule
from latent3d.diffusion.latent_diffusion import LatentPrior
from latent3d.diffusion.streams import Streams
from latent3d.graphs.graph_batches import Graphs
from latent3d.graphs.molecular_graphs import canonical_graph
from latent3d.systems import Context, Generate, Parts
from latent3d.systems.chunks import in_chunks
from latent3d.systems.latent3d.conformers import decode_usable
from latent3d.systems.latent3d.geometry import GeometricAutoencoder
from latent3d.systems.latent3d.models import load_geometry, load_guided_prior, load_topology
from latent3d.systems.latent3d.settings import Sampling
from latent3d.systems.latent3d.topology import TopologicalAutoencoder, decode_graphs, encode_graphs


def generator(parts: Parts, settings: Sampling, context: Context, run: Run) -> Generate:
    """Graphs from z_2d, then conformers from the graph and z_3d alone. `context` is not used."""
    topology, geometry = load_topology(parts["topology"], run.device), load_geometry(parts["geometry"], run.device)
    prior_2d = load_guided_prior("2d", parts, settings.guidance_2d, run.device)
    prior_3d = load_guided_prior("3d", parts, settings.guidance_3d, run.device)
    return in_chunks(partial(_generate_chunk, topology, geometry, prior_2d, prior_3d, settings), run.device)


def _generate_chunk(
    topology: TopologicalAutoencoder,
    geometry: GeometricAutoencoder,
    prior_2d: LatentPrior,
    prior_3d: LatentPrior,
    settings: Sampling,
    streams: Streams,
) -> tuple[list[Molecule], list[str]]:
    """One sample per stream: always a whole chunk, so that shapes and hence bytes never differ."""
    steps, sampler = settings.steps, settings.sampler
    decoded = decode_graphs(topology, prior_2d.draw(streams, steps, sampler))
    graphs = [canonical_graph(molecule) for molecule in decoded]
    usable = [i for i, graph in enumerate(graphs) if graph is not None]
    if not usable:
        return [EMPTY] * len(streams), ["decode_failed"] * len(streams)
    # The latents of the graph itself: z_2d as it was drawn lies off the latents of graphs, and conformations drawn for
    # it would fit another molecule.
    z_2d = encode_graphs(topology, Graphs.of(graphs[i] for i in usable)).to(streams.device)
    z_3d = prior_3d.draw(streams.take(usable), steps, sampler, z_2d)
    return decode_usable(geometry, graphs, z_3d, settings.decodings)
