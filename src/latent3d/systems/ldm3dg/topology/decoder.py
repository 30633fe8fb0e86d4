"""The decoder of Jin et al. 2020: from the vector z, motif by motif in depth-first order.

At every step the current motif gets another child or is left for its parent (topology); a child is chosen as a motif,
then as one of its attachments, then by the atom of the current motif that it joins (assembly). Choices that would break
a valence have probability zero, in training as in decoding. What is known of the molecule so far are tree messages on
the levels of attachments and motifs: those from the parent, and those from the children that are finished. A child's
message depends on its own subtree alone, so that teacher forcing computes all steps of all molecules at once.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from latent3d.systems.ldm3dg.settings import Topology
from latent3d.systems.ldm3dg.topology.batches import MAX_SITE, TreeBatch, UsedPairs
from latent3d.systems.ldm3dg.topology.messages import GraphLSTM, TreeLSTM, children_sum, earlier_sum
from latent3d.systems.ldm3dg.topology.motifs import MAX_STEPS, Vocabulary

MAX_FREE = 9
MOTIF_DEPTH = 3
"""Rounds of messages within a motif."""
UNBOUNDED = MAX_STEPS


@dataclass(frozen=True)
class KnownPairs:
    """Vectors of U pairs of the vocabulary: attachments and motifs [U, H], atoms [., H] with their first places [U]."""

    attachments: torch.Tensor
    motifs: torch.Tensor
    atoms: torch.Tensor
    first: torch.Tensor


class MotifDecoder(nn.Module):
    """Losses of all choices under teacher forcing, and the parts of a decoding step."""

    def __init__(self, vocabulary: Vocabulary, settings: Topology) -> None:
        super().__init__()
        embed, hidden, latent = settings.embed, settings.hidden, settings.latent
        tables = vocabulary.tables
        motifs, pairs = len(vocabulary.motifs), len(vocabulary.pairs)
        self.hidden = hidden
        self.atoms = GraphLSTM((len(vocabulary.types), MAX_FREE, 2, MAX_SITE), embed, hidden, MOTIF_DEPTH)
        self.attachment = nn.Sequential(nn.Linear(embed + hidden, hidden), nn.ReLU())
        self.motif = nn.Sequential(nn.Linear(embed + hidden, hidden), nn.ReLU())
        self.attachments, self.motifs = (TreeLSTM(hidden, hidden) for _ in range(2))
        self.topology = nn.Sequential(nn.Linear(hidden + latent, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.word = nn.Sequential(nn.Linear(hidden + latent, hidden), nn.ReLU(), nn.Linear(hidden, motifs))
        self.pair = nn.Sequential(nn.Linear(hidden + embed + latent, hidden), nn.ReLU())
        self.pair_weight, self.pair_bias = nn.Embedding(pairs, hidden), nn.Embedding(pairs, 1)
        self.site = nn.Linear(hidden + embed + latent, hidden)
        self.site_atom, self.site_free = nn.Linear(hidden, hidden), nn.Embedding(MAX_FREE, hidden)
        self.site_score = nn.Linear(hidden, 1)
        for name in ("motif_requires", "pairs_of_motif", "requirement"):
            self.register_buffer(name, torch.from_numpy(getattr(tables, name)), persistent=False)
        self.register_buffer("may_be_root", torch.from_numpy(tables.root_of_motif >= 0), persistent=False)

    def know(self, used: UsedPairs, motifs: torch.Tensor, pairs: torch.Tensor) -> KnownPairs:
        """Vectors of pairs, from embeddings of them and of their motifs [U, E], and from their atoms."""
        atoms = self.atoms(used.atoms)
        members = atoms.new_zeros(len(used.pair), atoms.shape[1]).index_add(0, used.owner, atoms)
        attachment = self.attachment(torch.cat([pairs, members], 1))
        return KnownPairs(attachment, self.motif(torch.cat([motifs, attachment], 1)), atoms, used.first)

    def word_logits(self, state: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        """Motifs [R, M] after motif states and z, [R, H + latent]; allowed [R, M] bool."""
        return _masked(self.word(state), allowed)

    def allowed_motifs(self, met: torch.Tensor) -> torch.Tensor:
        """[R, M] bool: motifs with a pair whose requirement is among those met, [R, requirements] bool."""
        return (met.float() @ self.motif_requires.float()) > 0

    def pair_logits(self, state: torch.Tensor, motif: torch.Tensor, met: torch.Tensor) -> torch.Tensor:
        """Pairs of motifs [R], in the order of `pairs_of_motif`: [R, K]. state [R, H + embed + latent]."""
        pairs = self.pairs_of_motif[motif]
        allowed = (pairs >= 0) & met.gather(1, self.requirement[pairs].clamp(min=0))
        pairs = pairs.clamp(min=0)
        scores = (self.pair_weight(pairs) @ self.pair(state)[:, :, None] + self.pair_bias(pairs))[..., 0]
        return _masked(scores, allowed)

    def site_logits(
        self, state: torch.Tensor, atoms: torch.Tensor, free: torch.Tensor, allowed: torch.Tensor
    ) -> torch.Tensor:
        """Atoms [R, K, H] with free valence [R, K] as places for a child: [R, K]. state [R, H + embed + latent]."""
        hidden = self.site(state)[:, None] + self.site_atom(atoms) + self.site_free(free)
        return _masked(self.site_score(torch.relu(hidden))[..., 0], allowed)

    def forward(
        self, z: torch.Tensor, batch: TreeBatch, motifs: torch.Tensor, pairs: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Nats per molecule of each kind of choice, and the share of molecules with every choice right (`exact`).

        z [B, latent]; motifs and pairs [U, E] embed `batch.used`.
        """
        known = self.know(batch.used, motifs, pairs)
        roots = len(batch)
        _, at_pairs = self._states(self.attachments, known.attachments.index_select(0, batch.used_of), batch)
        at_end, at_motifs = self._states(self.motifs, known.motifs.index_select(0, batch.used_of), batch)
        at_motifs = torch.cat([torch.zeros_like(at_motifs[:roots]), at_motifs[roots:]])  # nothing precedes a root
        z = z.index_select(0, batch.molecule)  # [N, latent]
        wrong = z.new_zeros(roots)

        def total(losses: torch.Tensor, right: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
            wrong.index_add_(0, batch.molecule[of], (~right).to(wrong.dtype))
            return losses.sum() / roots

        # Topology: to add each child, and then to add no more, unless nothing could be added.
        nodes = torch.arange(len(z), device=z.device)
        could_add = batch.open_sets.any(1)[batch.open_after]
        add = self.topology(torch.cat([at_motifs[roots:], z[roots:]], 1))[:, 0].float()
        end = self.topology(torch.cat([at_end, z], 1))[:, 0].float()
        topology = total(F.softplus(-add), add > 0, nodes[roots:])
        topology = topology + total(F.softplus(end) * could_add, (end <= 0) | ~could_add, nodes)

        allowed = self.allowed_motifs(batch.open_sets)[batch.open_before]
        allowed = torch.cat([self.may_be_root.expand(roots, -1), allowed[roots:]])
        logits = self.word_logits(torch.cat([at_motifs, z], 1), allowed)
        word = total(_cross_entropy(logits, batch.motif), logits.argmax(1) == batch.motif, nodes)

        chosen = batch.motif[roots:]
        embedded = motifs.index_select(0, batch.used_of[roots:])
        state = torch.cat([at_pairs[roots:], embedded, z[roots:]], 1)
        logits = self.pair_logits(state, chosen, batch.open_sets[batch.open_before[roots:]])
        target = (self.pairs_of_motif[chosen] == batch.pair[roots:, None]).long().argmax(1)
        attachment = total(_cross_entropy(logits, target), logits.argmax(1) == target, nodes[roots:])

        embedded = pairs.index_select(0, batch.used_of[batch.choice])
        state = torch.cat([at_motifs[batch.choice], embedded, z[batch.choice]], 1)
        atoms = known.atoms[batch.candidates]
        logits = self.site_logits(state, atoms, batch.candidate_free, batch.candidate_mask)
        assembly = total(_cross_entropy(logits, batch.chosen), logits.argmax(1) == batch.chosen, batch.choice)
        exact = (wrong == 0).float().mean()
        return {"topology": topology, "word": word, "attachment": attachment, "assembly": assembly, "exact": exact}

    def _states(self, tree: TreeLSTM, x: torch.Tensor, batch: TreeBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Motif by motif, [N, H] each: its state when work on it ended, and its parent's when it was chosen."""
        up = tree.up(x, batch, UNBOUNDED)
        earlier = earlier_sum(up, batch)
        down = tree.down(x, earlier, batch, UNBOUNDED)
        at_end = tree.cell.read(x, down + children_sum(up, batch))
        parents, above = (rows.index_select(0, batch.parent) for rows in (x, down))
        return at_end, tree.cell.read(parents, above + earlier)


def _cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits, target, reduction="none")


def _masked(logits: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    return logits.float().masked_fill(~allowed, -1e9)
