"""Whole datasets through the geometric autoencoder, in batches of molecules of similar size."""

import torch

from latent3d.data.molecules.molecules import EMPTY, Molecule
from latent3d.data.molecules.status import coordinate_status
from latent3d.graphs.graph_batches import Graphs
from latent3d.graphs.molecular_graphs import Graph
from latent3d.graphs.ragged import by_size
from latent3d.systems.latent3d.geometry import GeometricAutoencoder

DECODED_AT_ONCE = 50
"""Molecules, of those that are small."""


@torch.no_grad()
def decode_conformers(
    model: GeometricAutoencoder, graphs: Graphs, z: torch.Tensor, decodings: int = 1
) -> list[Molecule]:
    """Molecules of graphs with the positions that the decoder gives them from z_3d [M, latent].

    Each further decoding is of the code of the conformers before: an autoencoder moves what is unlike its data to them.
    """
    there = graphs.to(z.device)
    out: dict[int, Molecule] = {}
    for rows in by_size(graphs.sizes, DECODED_AT_ONCE):
        batch = there.padded(rows)
        positions, _, _ = model.decode(batch, z[torch.from_numpy(rows).to(z.device)])
        for _ in range(decodings - 1):
            positions, _, _ = model.decode(batch, model.encode(batch, positions))
        for i, x in zip(rows.tolist(), positions.cpu().numpy(), strict=True):
            out[i] = graphs[i].to_molecule(x[: graphs.sizes[i]])
    return [out[i] for i in range(len(graphs))]


def decode_usable(
    model: GeometricAutoencoder, graphs: list[Graph | None], z: torch.Tensor, decodings: int = 1
) -> tuple[list[Molecule], list[str]]:
    """A molecule and a status for every decoded graph, None where there is none; z [usable, latent] of the others."""
    usable = [i for i, graph in enumerate(graphs) if graph is not None]
    found = Graphs.of(graphs[i] for i in usable)
    molecules: list[Molecule] = [EMPTY] * len(graphs)
    status = ["decode_failed"] * len(graphs)
    for i, molecule in zip(usable, decode_conformers(model, found, z, decodings), strict=True):
        molecules[i] = molecule
        status[i] = coordinate_status(molecule)
    return molecules, status
