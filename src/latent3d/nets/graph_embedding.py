"""Embedding of molecular graphs for the transformers of both autoencoders."""

import torch
from torch import nn

from latent3d.graphs.graph_batches import MAX_PATH, GraphBatch
from latent3d.graphs.molecular_graphs import RING_SIZES

MAX_NUMBER, MAX_CHARGE, MAX_VALENCE, MAX_ORDINAL = 100, 8, 8, 4


class GraphEmbedding(nn.Module):
    """Node features [B, N, D] and pair features [B, N, N, P] of a batch of graphs.

    With `labels`, atoms also carry their place in the canonical order, which tells symmetric atoms apart; without,
    the features are functions of the graph alone.
    """

    def __init__(self, width: int, pair_width: int, labels: int = 0) -> None:
        super().__init__()
        self.number = nn.Embedding(MAX_NUMBER, width)
        self.charge = nn.Embedding(2 * MAX_CHARGE, width)
        self.valence = nn.Embedding(MAX_VALENCE + 1, width)
        self.hydrogens = nn.Embedding(6, width)
        self.rings = nn.Linear(len(RING_SIZES), width)
        self.bond = nn.Embedding(16, pair_width)
        self.path = nn.Embedding(MAX_PATH + 1, pair_width)
        self.label = nn.Embedding(labels, width) if labels else None
        self.ordinal = nn.Embedding(MAX_ORDINAL + 1, width) if labels else None

    def forward(self, graphs: GraphBatch, hidden: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """([B, N, D], [B, N, N, P]); what hidden atoms [B, N] are is not seen, but their bonds are."""
        is_hydrogen = (graphs.ordinals > 0).long()
        bonded = (graphs.orders > 0).long()
        # Hydrogens that are atoms of the batch, and those that the valence alone tells of (heavy-atom graphs).
        implicit = graphs.valences.long() - graphs.orders.long().sum(-1)
        hydrogens = ((bonded * is_hydrogen[:, None]).sum(-1) + implicit).clamp(0, 5)
        node = (
            self.number(graphs.numbers.long())
            + self.charge(graphs.charges.long() + MAX_CHARGE)
            + self.valence(graphs.valences.long().clamp(max=MAX_VALENCE))
            + self.hydrogens(hydrogens)
            + self.rings(graphs.rings.float())
        )
        if self.ordinal is not None:
            # Tells hydrogens from heavy atoms; what is decoded may have SH6.
            node = node + self.ordinal(graphs.ordinals.long().clamp(max=MAX_ORDINAL))
        if hidden is not None:
            node = node.masked_fill(hidden[..., None], 0)
        if self.label is not None:
            node = node + self.label(graphs.parents.long())
        return node, self.bond(graphs.kinds.long()) + self.path(graphs.paths.long())
