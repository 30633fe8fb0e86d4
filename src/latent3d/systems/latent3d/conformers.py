"""Whole datasets through the geometric autoencoder, in batches of molecules of similar size."""

import numpy as np
import torch
from torch import nn

from latent3d.molecules.molecules import EMPTY, Molecule
from latent3d.systems.latent3d.geometry import GeometricAutoencoder
from latent3d.systems.latent3d.graphs import Conformers, Graph, pad_graphs

BATCH = 50  # molecules decoded together


@torch.no_grad()
def encode_conformers(
    model: nn.Module, conformers: Conformers, mirror: bool = False, positions: torch.Tensor | None = None
) -> torch.Tensor:
    """Codes [M, latent] on the CPU of all conformers, of their mirror images, or at other positions [M, N, 3].

    The model has `encode` of graphs and positions, and the width `latent` of its codes.
    """
    device = next(model.parameters()).device
    x = positions if positions is not None else conformers.mirrored if mirror else conformers.positions
    sizes = conformers.batch.atom_counts
    out = torch.zeros(len(sizes), model.latent)
    for rows in by_size(sizes, 4 * BATCH):
        width = int(sizes[rows].max())
        batch = conformers.batch.select(rows, width).to(device)
        out[rows] = model.encode(batch, x[rows, :width].to(device)).cpu()
    return out


@torch.no_grad()
def decode_conformers(
    model: GeometricAutoencoder, graphs: list[Graph], z: torch.Tensor, decodings: int = 1
) -> list[Molecule]:
    """Molecules of graphs with the positions that the decoder gives them from z_3d [M, latent].

    Each further decoding is of the code of the conformers before: an autoencoder moves what is unlike its data to them.
    """
    sizes = torch.tensor([len(graph) for graph in graphs])
    out: dict[int, Molecule] = {}
    for rows in by_size(sizes, BATCH):
        batch = pad_graphs([graphs[i] for i in rows]).to(z.device)
        positions, _, _ = model.decode(batch, z[rows.to(z.device)])
        for _ in range(decodings - 1):
            positions, _, _ = model.decode(batch, model.encode(batch, positions))
        for i, x in zip(rows.tolist(), positions.cpu().numpy(), strict=True):
            out[i] = graphs[i].to_molecule(x[: len(graphs[i])])
    return [out[i] for i in range(len(graphs))]


def decode_usable(
    model: GeometricAutoencoder, graphs: list[Graph | None], z: torch.Tensor, decodings: int = 1
) -> tuple[list[Molecule], list[str]]:
    """A molecule and a status for every decoded graph, None where there is none; z [usable, latent] of the others."""
    usable = [i for i, graph in enumerate(graphs) if graph is not None]
    found = [graphs[i] for i in usable]
    molecules: list[Molecule] = [EMPTY] * len(graphs)
    status = ["decode_failed"] * len(graphs)
    for i, molecule in zip(usable, decode_conformers(model, found, z, decodings), strict=True):
        molecules[i] = molecule
        status[i] = "ok" if np.isfinite(molecule.positions).all() else "nan_coordinates"
    return molecules, status


def by_size(sizes: torch.Tensor, batch_size: int) -> list[torch.Tensor]:
    """Rows sorted by size, in batches."""
    return list(torch.argsort(sizes, stable=True).split(batch_size)) if len(sizes) else []
