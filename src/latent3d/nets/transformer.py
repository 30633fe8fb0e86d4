"""Pre-norm transformer blocks with a pair bias.

Shapes: B batch, N tokens, D width, H heads. Sources: Vaswani et al. 2017; pair bias of Graphormer (Ying et al. 2021).
"""

import torch
import torch.nn.functional as F
from torch import nn


class TransformerBlock(nn.Module):
    """Self-attention and a GELU feed-forward layer, each on a residual branch."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, x: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """x [B, N, D], bias [B or 1, H or 1, N, N] added to the attention logits (-inf masks; None: nothing)."""
        x = x + self.attend(self.norms[0](x), bias)
        return x + self.feed_forward(self.norms[1](x))

    def attend(self, x: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Multi-head self-attention. x [B, N, D] -> [B, N, D]."""
        return self.out(attention(self.qkv(x), bias, self.heads))


def attention(qkv: torch.Tensor, bias: torch.Tensor | None, heads: int) -> torch.Tensor:
    """Multi-head attention [B, N, D] of queries, keys and values side by side [B, N, 3 D]; bias as in the block."""
    batch, tokens, _ = qkv.shape
    q, k, v = qkv.view(batch, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)  # [B, H, N, D/H]
    mask = None if bias is None else bias.expand(batch, heads, -1, -1)
    attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return attended.transpose(1, 2).reshape(batch, tokens, -1)


def padding_bias(mask: torch.Tensor) -> torch.Tensor:
    """[B, 1, 1, N] attention bias that hides padding. mask [B, N], True for tokens; rows need one token at least."""
    return torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, float("-inf"))[:, None, None]
