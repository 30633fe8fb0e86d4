"""Latents to zero mean and unit variance, and back: what diffusion over vectors wants."""

import torch
from torch import nn


class StandardScaling(nn.Module):
    """Every coordinate for itself; mean and scale travel with the weights."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("scale", torch.ones(dimension))

    def fit(self, latents: torch.Tensor) -> None:
        """Take mean and standard deviation of every coordinate from latents [M, D]."""
        self.mean.copy_(latents.mean(0))
        self.scale.copy_(latents.std(0).clamp(min=1e-3))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """[B, D] -> [B, D] of zero mean and unit variance."""
        return (latents - self.mean) / self.scale

    def restore(self, x: torch.Tensor) -> torch.Tensor:
        """Inverse of `forward`."""
        return x * self.scale + self.mean


class PCAWhitening(nn.Module):
    """Principal axes of the latents, each to unit variance (PCA whitening): correlated coordinates become independent.

    Axes with less than `FLOOR` of the largest standard deviation are scaled as if they had it, so that rounding is not
    blown up to a signal.
    """

    FLOOR = 1e-3

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("axes", torch.eye(dimension))  # columns
        self.register_buffer("scale", torch.ones(dimension))

    def fit(self, latents: torch.Tensor) -> None:
        """Take mean and principal axes from latents [M, D], M > 1."""
        latents = latents.double()
        variance, axes = torch.linalg.eigh(torch.cov(latents.T))
        scale = variance.clamp(min=0).sqrt()
        self.mean.copy_(latents.mean(0))
        self.axes.copy_(axes)
        self.scale.copy_(scale.clamp(min=max(self.FLOOR * float(scale.max()), 1e-6)))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """[B, D] -> [B, D] of zero mean and unit covariance."""
        return (latents - self.mean) @ self.axes / self.scale

    def restore(self, x: torch.Tensor) -> torch.Tensor:
        """Inverse of `forward`."""
        return (x * self.scale) @ self.axes.T + self.mean
