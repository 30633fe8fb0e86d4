"""Residual MLP with adaptive layer norm: the denoiser of vector latents."""

import math

import torch
from torch import nn

from latent3d.nets.compiling import Fused


class ResidualMLP(Fused):
    """Network of a vector x [B, D], a time t [B] in [0, 1] and a condition [B, C] or None; t modulates blocks (DiT)."""

    def __init__(self, dimension: int, condition: int, width: int, blocks: int) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(128, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.into = nn.Linear(dimension + condition, width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, dimension)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        """[B, D], [B], [B, C] -> [B, D]."""
        c = self.time(time_embedding(t, 128))
        h = self.into(x if condition is None else torch.cat([x, condition], 1))
        for block in self.blocks:
            h = block(h, c)
        return self.out(self.norm(h))


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 3 * width)
        self.layers = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, h: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        shift, scale, gate = self.modulation(c).chunk(3, -1)
        return h + gate * self.layers(self.norm(h) * (1 + scale) + shift)


def time_embedding(t: torch.Tensor, width: int) -> torch.Tensor:
    """Sinusoidal features of t [B] in [0, 1] -> [B, width], geometric frequencies up to 1000 (Vaswani et al. 2017)."""
    frequencies = torch.exp(torch.linspace(0, math.log(1000), width // 2, device=t.device))
    angles = t[:, None].float() * frequencies
    return torch.cat([angles.sin(), angles.cos()], -1)
