"""Conformers through an encoder, in batches of similar size."""

import torch
from torch import nn

from latent3d.graphs.molecular_graphs import Conformers

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


def by_size(sizes: torch.Tensor, batch_size: int) -> list[torch.Tensor]:
    """Rows sorted by size, in batches."""
    return list(torch.argsort(sizes, stable=True).split(batch_size)) if len(sizes) else []
