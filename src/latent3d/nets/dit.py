"""Diffusion transformer: the denoiser of latents made of tokens.

Shapes: B batch, N tokens, D numbers per token, C of the condition. Source: Peebles & Xie 2023 (adaLN-Zero blocks).
"""

import torch
import torch.nn.functional as F
from torch import nn

from latent3d.nets.mlp import time_embedding
from latent3d.nets.transformer import attention, padding_bias


class DiffusionTransformer(nn.Module):
    """Network of tokens x [B, N, D], a time t [B] in [0, 1] and a condition [B, N, C]; tokens know their place."""

    def __init__(self, tokens: int, dimension: int, condition: int, width: int, blocks: int, heads: int) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(128, width), nn.SiLU(), nn.Linear(width, width))
        self.count = nn.Embedding(tokens + 1, width)
        self.into = nn.Linear(dimension + condition, width)
        self.place = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, dimension)
        for layer in (self.modulation, self.out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """[B, N, D], [B], [B, N, C], mask [B, N] (True for tokens) -> [B, N, D], zero at padding."""
        c = F.silu(self.time(time_embedding(t, 128)) + self.count(mask.sum(1)))[:, None]  # [B, 1, W]
        h = self.into(torch.cat([x, condition], -1)) + self.place
        bias = padding_bias(mask)
        for block in self.blocks:
            h = block(h, c, bias)
        shift, scale = self.modulation(c).chunk(2, -1)
        return self.out(self.norm(h) * (1 + scale) + shift) * mask[..., None]


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.modulation = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, h: torch.Tensor, c: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = self.modulation(c).chunk(6, -1)
        x = self.norms[0](h) * (1 + scale_1) + shift_1
        h = h + gate_1 * self.out(attention(self.qkv(x), bias, self.heads))
        x = self.norms[1](h) * (1 + scale_2) + shift_2
        return h + gate_2 * self.feed_forward(x)
