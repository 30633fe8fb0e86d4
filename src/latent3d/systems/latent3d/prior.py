"""Latent diffusion: the density of the standardised vector [z_2d, z_3d]."""

import torch
from torch import nn

from latent3d.diffusion.objectives import Denoiser
from latent3d.nets.mlp import ResidualMLP


class LatentDiffusion(nn.Module):
    """Denoiser of standardised latents; mean and scale of the training latents travel with the weights."""

    def __init__(self, dimension: int, width: int, blocks: int, objective: str, schedule: str) -> None:
        super().__init__()
        self.denoiser = Denoiser(ResidualMLP(dimension, width, blocks), objective, schedule, limit=8.0)
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("scale", torch.ones(dimension))

    def fit_scale(self, latents: torch.Tensor) -> None:
        """Take mean and standard deviation of every coordinate from latents [M, D]."""
        self.mean.copy_(latents.mean(0))
        self.scale.copy_(latents.std(0).clamp(min=1e-3))

    def standardise(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents [B, D] to zero mean and unit variance."""
        return (latents - self.mean) / self.scale

    def restore(self, x: torch.Tensor) -> torch.Tensor:
        """Inverse of `standardise`."""
        return x * self.scale + self.mean

    def forward(self, latents: torch.Tensor, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Diffusion loss of latents [B, D], with stratified times."""
        count, device = len(latents), latents.device
        t = (torch.rand(1, generator=generator) + torch.arange(count) / count) % 1
        eps = torch.randn(latents.shape, generator=generator)
        return {"loss": self.denoiser.square_error(self.standardise(latents), t.to(device), eps.to(device)).mean()}
