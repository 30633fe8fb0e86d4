"""The encoder of conformers: states of atoms that know the whole conformation.

A transformer whose pair features are the distance and the position of every atom in the local frame of every other;
they do not change under rotation and translation, and one component changes sign under reflection, so what is made of
them is SE(3)-invariant and knows the hand of a molecule.
"""

import torch
from torch import nn

from latent3d.graphs.graph_batches import GraphBatch
from latent3d.nets.graph_embedding import GraphEmbedding
from latent3d.nets.precision import full_precision
from latent3d.nets.transformer import TransformerBlock, padding_bias

NEAR_PATH = 3  # bonds
RADIAL = 24


class ConformerEncoder(nn.Module):
    """Conformers [B, N, 3] (angstrom) with their graphs to states of the atoms [B, N, D]."""

    def __init__(self, max_heavy: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.embed = GraphEmbedding(width, heads, labels=max_heavy)
        self.pairs = nn.Sequential(nn.Linear(RADIAL + 3, width // 2), nn.GELU(), nn.Linear(width // 2, heads))
        self.nodes = nn.Sequential(nn.Linear(RADIAL + 3, width // 2), nn.GELU(), nn.Linear(width // 2, width))
        self.blocks = nn.ModuleList(TransformerBlock(width, heads) for _ in range(layers))

    def forward(self, graphs: GraphBatch, positions: torch.Tensor, hidden: torch.Tensor | None = None) -> torch.Tensor:
        """[B, N, D]; what hidden atoms [B, N] are is not seen."""
        h, pairs = self.embed(graphs, hidden)
        features = invariant_features(graphs, positions)  # [B, N, N, RADIAL + 3]
        bias = (pairs + self.pairs(features)).permute(0, 3, 1, 2) + padding_bias(graphs.mask)
        neighbours = (graphs.paths <= NEAR_PATH) & graphs.mask[:, None] & graphs.mask[:, :, None]
        # Tell apart by path length what would else be one sum over near atoms.
        messages = self.nodes(features) * neighbours[..., None]
        h = h + messages.sum(2) / 4
        for block in self.blocks:
            h = block(h, bias)
        return h


def invariant_features(graphs: GraphBatch, positions: torch.Tensor) -> torch.Tensor:
    """SE(3)-invariant, reflection-sensitive pair features [B, N, N, RADIAL + 3].

    Radial basis of the distance, and the direction to atom j in the local frame of atom i. The frame is spanned by the
    positions of i's first two neighbours in canonical order (a hydrogen: its bearer and the bearer's neighbour). Its
    second and third axes are not normalised: they fade out smoothly as the neighbours become collinear.
    """
    d = pair_distances(positions)
    centres = torch.linspace(0.8, 8.0, RADIAL, device=d.device)
    radial = torch.exp(-(((d[..., None] - centres) / 0.45) ** 2))
    return torch.cat([radial, local_positions(graphs, positions) / (1 + d[..., None])], -1)


def local_positions(graphs: GraphBatch, positions: torch.Tensor) -> torch.Tensor:
    """Position of atom j in the local frame of atom i: [B, i, j, 3], angstrom (see `invariant_features`)."""
    difference = positions[:, None] - positions[:, :, None]  # x_j - x_i
    j, k = frame_atoms(graphs)
    u, v = (_unit(torch.gather(difference, 2, a[..., None, None].expand(-1, -1, 1, 3))[:, :, 0]) for a in (j, k))
    third = torch.linalg.cross(u, v)
    frame = torch.stack([u, torch.linalg.cross(third, u), third], -2)  # [B, N, 3, 3]
    with full_precision(positions):
        return difference @ frame.transpose(-1, -2)


def frame_atoms(graphs: GraphBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Two atoms [B, N] each that span the frame of every atom: the nearest in the graph, ties by canonical order."""
    size = graphs.mask.shape[1]
    index = torch.arange(size, device=graphs.mask.device)
    usable = graphs.mask[:, None] & (index[None, :, None] != index[None, None])
    rank = torch.where(usable, graphs.paths.long() * size + index, 10**6)
    nearest = rank.topk(min(2, size), dim=-1, largest=False).indices
    return nearest[..., 0], nearest[..., -1]


def _unit(v: torch.Tensor) -> torch.Tensor:
    return v / v.square().sum(-1, keepdim=True).add(1e-8).sqrt()


def pair_distances(positions: torch.Tensor) -> torch.Tensor:
    """[B, N, N] distances; the gradient is finite where two atoms coincide."""
    return ((positions[:, :, None] - positions[:, None]) ** 2).sum(-1).add(1e-8).sqrt()
