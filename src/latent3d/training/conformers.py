"""What a training step of an autoencoder of conformers is."""

import torch

from latent3d.graphs.molecular_graphs import Conformers
from latent3d.training.loop import Losses, LossOfRows


def conformer_loss(conformers: Conformers, device: str) -> LossOfRows:
    """A training step of an autoencoder of conformers: its loss on some of them, half of them mirrored."""
    batch = conformers.batch.to(device)
    positions, mirrored = conformers.positions.to(device), conformers.mirrored.to(device)
    sizes = conformers.batch.atom_counts.numpy()

    def loss(model: torch.nn.Module, rows: torch.Tensor, generator: torch.Generator, _: int) -> Losses:
        width = int(sizes[rows].max())
        # The mirror image of a conformer is as good a conformer.
        mirror = (torch.rand(len(rows), generator=generator) < 0.5).to(device)[:, None, None]
        rows = rows.to(device)
        x = torch.where(mirror, mirrored[rows, :width], positions[rows, :width])
        return model(batch.select(rows, width), x, generator)

    return loss
