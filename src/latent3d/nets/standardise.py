"""Codes of zero mean and unit variance over the data."""

import torch
from torch import nn


class RunningStandardise(nn.Module):
    """Standardise every coordinate of x [B, D] by running statistics of the training data.

    Noise of fixed size added to such a code means something: the encoder cannot hide from it by scaling up, nor let all
    codes be alike (a layer norm allows that: one large constant direction). Unlike batch norm, the statistics of
    one small batch do not enter, and no gradient flows through them.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("variance", torch.ones(dimension))
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, D] -> [B, D]; updates the statistics in training mode."""
        if self.training:
            with torch.no_grad():
                self.updates += 1
                weight = (1 / self.updates.float()).clamp(min=0.02)
                self.mean.lerp_(x.mean(0).to(self.mean), weight)
                self.variance.lerp_((x - self.mean).square().mean(0).to(self.mean), weight)
        return (x - self.mean) / (self.variance + 1e-6).sqrt()
