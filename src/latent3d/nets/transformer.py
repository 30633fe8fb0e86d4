"""Pre-norm transformer blocks with a pair bias.

Shapes: B batch, N tokens, D width, H heads. Sources: Vaswani et al. 2017; pair bias of Graphormer (Ying et al. 2021).
"""

import torch
import torch.nn.functional as F
from torch import nn

from latent3d.nets.compiling import Fused


class TransformerBlock(Fused):
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

    def extend(self, x: torch.Tensor, past: "KeyValues") -> torch.Tensor:
        """The block on tokens x [B, N, D] that see one another and those in `past`, to which they are added."""
        q, *keys_values = _by_head(self.qkv(self.norms[0](x)), self.heads)
        attended = F.scaled_dot_product_attention(q, *past.append(*keys_values))
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.feed_forward(self.norms[1](x))


class KeyValues:
    """Keys and values of the tokens that a block has seen: what a causal decoder need not compute again."""

    def __init__(self) -> None:
        self.length = 0
        self.room = torch.zeros(0)  # [2, B, H, R >= length, D/H]

    def append(self, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Those of all tokens [B, H, T, D/H], after those of new ones [B, H, N, D/H] were added."""
        new = torch.stack([keys, values])
        end = self.length + new.shape[3]
        if not self.length or end > self.room.shape[3]:
            # Half as much again: each is copied a few times however many there will be.
            room = new.new_zeros(*new.shape[:3], end + end // 2, new.shape[4])
            if self.length:
                room[:, :, :, : self.length] = self.room[:, :, :, : self.length]
            self.room = room
        self.room[:, :, :, self.length : end] = new
        self.length = end
        keys, values = self.room[:, :, :, :end]
        return keys, values

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with some of the sequences."""
        self.room = self.room[:, rows]


def attention(qkv: torch.Tensor, bias: torch.Tensor | None, heads: int) -> torch.Tensor:
    """Multi-head attention [B, N, D] of queries, keys and values side by side [B, N, 3 D]; bias as in the block."""
    q, k, v = _by_head(qkv, heads)
    mask = None if bias is None else bias.expand(len(q), heads, -1, -1)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)


def _by_head(qkv: torch.Tensor, heads: int) -> torch.Tensor:
    """[B, N, 3 D] to queries, keys and values [3, B, H, N, D/H]."""
    return qkv.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)


def padding_bias(mask: torch.Tensor) -> torch.Tensor:
    """[B, 1, 1, N] attention bias that hides padding. mask [B, N], True for tokens; rows need one token at least."""
    return torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, float("-inf"))[:, None, None]
