"""The networks of EDM and GeoLDM (EGNN) and of their ablations GDM and GraphLDM (GNN), over dense batches.

Satorras et al. 2021 (EGNN) as used by Hoogeboom et al. 2022 (EDM, appendix B): messages between all atoms of a
molecule, summed, with a sigmoid gate; coordinates move along differences scaled to (x_i - x_j) / (|x_i - x_j| + 1).
Shapes: B molecules, N atoms (padded), D width; mask [B, N] is True for atoms. Distances and positions stay in the
precision that they come in, whatever autocast says.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from latent3d.nets.compiling import Fused
from latent3d.nets.pairs import PairLinear
from latent3d.nets.precision import full_precision

COORDINATE_RANGE = 15.0  # limit of one pair's part in a step, angstrom
PAIRS_AT_ONCE = {"cpu": 5_000, "cuda": 1_000_000}
"""Pairs (molecules times squared atoms) worked on together: what a processor's cache and a GPU's memory hold."""
RECOMPUTE_FROM = 300_000
"""Pairs from which layers are computed again in the backward pass instead of being kept."""


class Messages(Fused):
    """h_i <- h_i + MLP[h_i, sum_j gate(m_ij) m_ij / norm], m_ij = MLP[h_i, h_j, e_ij]."""

    def __init__(self, width: int, pair_features: int, norm: float) -> None:
        super().__init__()
        self.norm = norm
        self.edge_in, self.edge_out = PairLinear(width, pair_features, width), nn.Linear(width, width)
        self.gate = nn.Linear(width, 1)
        self.node = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, h: torch.Tensor, pairs: torch.Tensor | None, pair_mask: torch.Tensor) -> torch.Tensor:
        """h [B, N, D], pairs [B, N, N, K], pair_mask [B, N, N] -> [B, N, D]."""
        m = F.silu(self.edge_out(F.silu(self.edge_in(h, pairs))))  # [B, N, N, D]
        gate = torch.sigmoid(self.gate(m)).squeeze(-1) * pair_mask
        total = (gate.to(m.dtype)[:, :, None] @ m).squeeze(2) / self.norm  # the gated sum over j, [B, N, D]
        return h + self.node(torch.cat([h, total.to(h.dtype)], -1))


class CoordinateStep(nn.Module):
    """x_i <- x_i + sum_j (x_i - x_j) / (d_ij + 1) * 15 tanh(MLP[h_i, h_j, e_ij]) / norm."""

    def __init__(self, width: int, pair_features: int, norm: float) -> None:
        super().__init__()
        self.norm = norm
        self.edge_in, self.edge_out = PairLinear(width, pair_features, width), nn.Linear(width, width)
        self.scale = nn.Linear(width, 1, bias=False)
        nn.init.xavier_uniform_(self.scale.weight, gain=0.001)

    def forward(self, x: torch.Tensor, h: torch.Tensor, pairs: torch.Tensor, pair_mask: torch.Tensor) -> torch.Tensor:
        """x [B, N, 3], h [B, N, D], pairs [B, N, N, 2] (the first is d_ij^2), pair_mask [B, N, N] -> [B, N, 3]."""
        m = F.silu(self.edge_out(F.silu(self.edge_in(h, pairs))))
        scale = self.scale(m).squeeze(-1)
        with full_precision(x):
            distance = (pairs[..., 0] + 1e-8).sqrt()
            weight = COORDINATE_RANGE * scale.to(x.dtype).tanh() / (distance + 1) * pair_mask / self.norm  # [B, N, N]
            # sum_j w_ij (x_i - x_j) without the differences
            return x + weight.sum(-1, keepdim=True) * x - weight @ x


class EquivariantLayer(Fused):
    """Messages, then a step of the coordinates."""

    def __init__(self, width: int, norm: float) -> None:
        super().__init__()
        self.messages, self.step = Messages(width, 2, norm), CoordinateStep(width, 2, norm)

    def forward(
        self, x: torch.Tensor, h: torch.Tensor, first: torch.Tensor, pair_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """x [B, N, 3], h [B, N, D], first [B, N, N]: squared distances before the first layer."""
        pairs = torch.stack([square_distances(x), first], -1)
        h = self.messages(h, pairs, pair_mask)
        return self.step(x, h, pairs, pair_mask), h


class EGNN(nn.Module):
    """E(3)-equivariant network: features [B, N, in] and positions to features [B, N, out] and positions."""

    equivariant = True

    def __init__(self, features: int, width: int, layers: int, out: int, norm: float) -> None:
        super().__init__()
        self.embed, self.read = nn.Linear(features, width), nn.Linear(width, out)
        self.layers = nn.ModuleList(EquivariantLayer(width, norm) for _ in range(layers))

    def forward(self, x: torch.Tensor, h: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """New positions [B, N, 3] (not centred) and features [B, N, out], zero at padding."""
        first, pair_mask = square_distances(x), pairs_of(mask)
        h = self.embed(h)
        for layer in self.layers:
            x, h = _run(layer, x, h, first, pair_mask)
        return x * mask[..., None], self.read(h) * mask[..., None]


class GNN(nn.Module):
    """The same messages with positions as three more features: not equivariant."""

    equivariant = False

    def __init__(self, features: int, width: int, layers: int, out: int, norm: float) -> None:
        super().__init__()
        self.embed, self.read = nn.Linear(3 + features, width), nn.Linear(width, 3 + out)
        self.layers = nn.ModuleList(Messages(width, 0, norm) for _ in range(layers))

    def forward(self, x: torch.Tensor, h: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions [B, N, 3] (not centred) and features [B, N, out], zero at padding."""
        pair_mask = pairs_of(mask)
        h = self.embed(torch.cat([x, h], -1))
        for layer in self.layers:
            h = _run(layer, h, None, pair_mask)
        out = self.read(h) * mask[..., None]
        return out[..., :3], out[..., 3:]


Backbone = type[EGNN] | type[GNN]


def pairs_of(mask: torch.Tensor) -> torch.Tensor:
    """[B, N, N] True for ordered pairs of different atoms."""
    return mask[:, :, None] & mask[:, None] & ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)


def square_distances(x: torch.Tensor) -> torch.Tensor:
    """Squared distances [B, N, N] of positions [B, N, 3]."""
    return (x[:, :, None] - x[:, None]).square().sum(-1)


def _run(layer: nn.Module, *inputs: torch.Tensor | None) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """Apply a layer; with very many pairs, recompute it in the backward pass rather than keep what it makes."""
    if torch.is_grad_enabled() and inputs[-1].numel() >= RECOMPUTE_FROM:
        return checkpoint(layer, *inputs, use_reentrant=False)
    return layer(*inputs)
