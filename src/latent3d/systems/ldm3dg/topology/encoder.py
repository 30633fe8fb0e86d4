"""The encoder of Jin et al. 2020: atoms, then attachments, then motifs; the root of the motif tree is the code."""

import torch
from torch import nn

from latent3d.systems.ldm3dg.settings import Topology
from latent3d.systems.ldm3dg.topology.batches import TreeBatch
from latent3d.systems.ldm3dg.topology.messages import GraphLSTM, TreeLSTM, children_sum

MAX_HYDROGENS = 9


class MotifEncoder(nn.Module):
    """Molecules to root codes [B, H] in (-1, 1), through three graphs, each of which reads the one below it.

    Atom vectors h_v come from the molecule's graph. Attachment node i reads MLP(e(A_i), sum of its atoms' h_v), motif
    node i reads MLP(e(S_i), h_A_i). Tree messages do not reach beyond `depth_tree` edges from the root.
    """

    def __init__(self, types: int, settings: Topology) -> None:
        super().__init__()
        embed, hidden = settings.embed, settings.hidden
        self.levels = settings.depth_tree + 1
        self.atoms = GraphLSTM((types, MAX_HYDROGENS), embed, hidden, settings.depth_graph)
        self.attachment = nn.Sequential(nn.Linear(embed + hidden, hidden), nn.ReLU())
        self.motif = nn.Sequential(nn.Linear(embed + hidden, hidden), nn.ReLU())
        self.attachments, self.motifs = (TreeLSTM(hidden, hidden) for _ in range(2))
        self.root = nn.Linear(hidden, hidden)

    def forward(
        self, batch: TreeBatch, motifs: torch.Tensor, pairs: torch.Tensor, hidden: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Root codes [B, H] and atom vectors [A, H]; motifs and pairs [U, E] embed `batch.used`.

        What hidden atoms [A] are is not seen, nor what a motif with such an atom is.
        """
        atoms = self.atoms(batch.atoms, hidden)
        motifs, pairs = motifs.index_select(0, batch.used_of), pairs.index_select(0, batch.used_of)
        if hidden is not None:
            members = hidden[batch.member_atom].to(torch.int64)
            unknown = members.new_zeros(len(pairs)).index_add(0, batch.member_motif, members)[:, None] > 0
            motifs, pairs = (x.masked_fill(unknown, 0) for x in (motifs, pairs))
        members = atoms.new_zeros(len(batch.pair), atoms.shape[1])
        members = members.index_add(0, batch.member_motif, atoms.index_select(0, batch.member_atom))
        x = self.attachment(torch.cat([pairs, members], 1))
        up = self.attachments.up(x, batch, self.levels)
        children = children_sum(up, batch)
        down = self.attachments.down(x, children.index_select(0, batch.parent) - up, batch, self.levels)
        h = self.attachments.cell.read(x, down + children)
        x = self.motif(torch.cat([motifs, h], 1))
        up = self.motifs.up(x, batch, self.levels)
        root = self.motifs.cell.read(x[: len(batch)], children_sum(up, batch)[: len(batch)])
        return torch.tanh(self.root(root)), atoms
