"""Pre-norm transformer blocks with a pair bias and optional adaptive normalisation.

Shapes: B batch, N tokens, D width, H heads. Sources: Vaswani et al. 2017; pair bias of Graphormer (Ying et al. 2021);
adaptive layer norm as in DiT (Peebles & Xie 2023).
"""

import torch
import torch.nn.functional as F
from torch import nn


class TransformerBlock(nn.Module):
    """Self-attention and a GELU feed-forward layer, each on a residual branch.

    With `condition` > 0 the norms are shifted, scaled and gated by a vector c [B, condition] (AdaLN).
    """

    def __init__(self, width: int, heads: int, condition: int = 0) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=condition == 0) for _ in range(2))
        self.modulation = nn.Linear(condition, 6 * width) if condition else None
        if self.modulation is not None:
            # Not DiT's zero start: these nets are shallow, and must use the condition from the first step.
            nn.init.normal_(self.modulation.weight, std=0.02)
            nn.init.zeros_(self.modulation.bias)
            with torch.no_grad():
                self.modulation.bias[2 * width : 3 * width] = 1
                self.modulation.bias[5 * width :] = 1

    def forward(self, x: torch.Tensor, bias: torch.Tensor, c: torch.Tensor | None = None) -> torch.Tensor:
        """x [B, N, D], bias [B or 1, H or 1, N, N] added to the attention logits (-inf masks), c [B, condition]."""
        if self.modulation is None:
            x = x + self.attend(self.norms[0](x), bias)
            return x + self.feed_forward(self.norms[1](x))
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = self.modulation(c)[:, None].chunk(6, -1)
        x = x + gate_1 * self.attend(self.norms[0](x) * (1 + scale_1) + shift_1, bias)
        return x + gate_2 * self.feed_forward(self.norms[1](x) * (1 + scale_2) + shift_2)

    def attend(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Multi-head self-attention. x [B, N, D] -> [B, N, D]."""
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # [B, H, N, D/H]
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.expand(batch, self.heads, -1, -1))
        return self.out(attended.transpose(1, 2).reshape(batch, tokens, width))


def condition_network(latent: int, width: int) -> nn.Sequential:
    """Code [B, latent] to the condition c [B, width] of a decoder's blocks."""
    return nn.Sequential(nn.Linear(latent, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())


class AttentionPooling(nn.Module):
    """Q learned queries attend over the tokens; their answers are concatenated: [B, N, D] -> [B, Q D]."""

    def __init__(self, width: int, queries: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, width) / width**0.5)
        self.key_value = nn.Linear(width, 2 * width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """x [B, N, D], mask [B, N] True for tokens."""
        k, v = self.key_value(x).chunk(2, -1)
        q = self.queries.expand(len(x), -1, -1)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None]).flatten(1)


def padding_bias(mask: torch.Tensor) -> torch.Tensor:
    """[B, 1, 1, N] attention bias that hides padding. mask [B, N], True for tokens; rows need one token at least."""
    return torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, float("-inf"))[:, None, None]
