"""What a training step of an autoencoder of conformers is."""

import torch

from latent3d.graphs.conformers import Conformers
from latent3d.training.loop import Losses, LossOfRows


def conformer_loss(conformers: Conformers, device: str) -> LossOfRows:
    """A training step of an autoencoder of conformers: its loss on some of them, half of them mirrored."""
    conformers = conformers.to(device)

    def loss(model: torch.nn.Module, rows: torch.Tensor, generator: torch.Generator, _: int) -> Losses:
        # The mirror image of a conformer is as good a conformer.
        mirror = (torch.rand(len(rows), generator=generator) < 0.5).to(device)[:, None, None]
        x = torch.where(mirror, conformers.mirrored.padded(rows), conformers.positions.padded(rows))
        return model(conformers.graphs.padded(rows), x, generator)

    return loss
