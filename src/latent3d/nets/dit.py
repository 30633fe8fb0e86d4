"""Diffusion transformer: a denoiser of latents made of slots.

Shapes: B batch, n slots, D and C numbers of all slots together. Source: Peebles & Xie 2023 (adaLN-Zero blocks).
"""

import torch
import torch.nn.functional as F
from torch import nn

from latent3d.nets.compiling import Fused
from latent3d.nets.mlp import time_embedding
from latent3d.nets.transformer import attention


class SlotTransformer(Fused):
    """Network of latents x [B, D], a time t [B] in [0, 1] and a condition [B, C] or None, all made of `slots` slots."""

    def __init__(self, dimension: int, condition: int, slots: int, width: int, blocks: int, heads: int) -> None:
        super().__init__()
        self.slots = slots
        self.time = nn.Sequential(nn.Linear(128, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.into = nn.Linear((dimension + condition) // slots, width)
        self.place = nn.Parameter(0.02 * torch.randn(slots, width))
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, dimension // slots)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        """[B, D], [B], [B, C] -> [B, D]."""
        c = self.time(time_embedding(t, 128))[:, None]  # [B, 1, W]
        tokens = torch.cat([part.unflatten(1, (self.slots, -1)) for part in (x, condition) if part is not None], -1)
        h = self.into(tokens) + self.place
        for block in self.blocks:
            h = block(h, c)
        return self.out(self.norm(h)).flatten(1)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.modulation = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, h: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = self.modulation(c).chunk(6, -1)
        h = h + gate_1 * self.mix(attention(self.qkv(_norm(h) * (1 + scale_1) + shift_1), None, self.heads))
        return h + gate_2 * self.feed_forward(_norm(h) * (1 + scale_2) + shift_2)


def _norm(h: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(h, h.shape[-1:])
