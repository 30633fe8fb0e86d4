"""Topological autoencoder: molecular graph -> z_2d -> molecular graph, valid by construction.

The encoder is a graph transformer over heavy atoms; z_2d is the code of a variational autoencoder with a small weight
on the KL term, a few numbers for each heavy atom in canonical order (`slots`). The decoder is a causal transformer that
writes the actions of `grammar.Grammar`; actions that the grammar forbids have probability zero, in training as in
sampling.
"""

import torch
import torch.nn.functional as F
from torch import nn

from latent3d.data.molecules.molecules import Molecule
from latent3d.graphs.graph_batches import GraphBatch, Graphs
from latent3d.graphs.ragged import in_parts
from latent3d.nets.graph_embedding import MAX_NUMBER, MAX_VALENCE, GraphEmbedding
from latent3d.nets.self_supervision import SelfSupervision
from latent3d.nets.slots import SlotCode, with_self_supervision
from latent3d.nets.transformer import KeyValues, TransformerBlock, padding_bias
from latent3d.systems.latent3d.grammar import PAD, Builder, Grammar
from latent3d.systems.latent3d.sequences import SequenceBatch
from latent3d.systems.latent3d.settings import Topology

GRAPHS_AT_ONCE = 500
"""Graphs encoded or decoded together, of those that are small."""
TOKENS_AT_ONCE = 2**16
"""Tokens that decoding remembers for all graphs together: with the largest networks 1 GB of keys and values."""


class TopologicalAutoencoder(nn.Module):
    """Graph to z_2d [B, latent] and back."""

    def __init__(self, grammar: Grammar, settings: Topology) -> None:
        super().__init__()
        self.grammar, self.beta = grammar, settings.beta
        n, atom_latent = grammar.max_atoms, settings.atom_latent
        width, layers, heads = settings.width, settings.layers, settings.heads
        self.embed = GraphEmbedding(width, heads, labels=n)
        self.encoder = nn.ModuleList(TransformerBlock(width, heads) for _ in range(layers))
        self.code = SlotCode(width, n, atom_latent)

        self.slot = nn.Linear(atom_latent, width)
        self.place = nn.Embedding(n, width)
        self.next_slot, self.focus_slot = (nn.Linear(atom_latent, width) for _ in range(2))
        self.token = nn.Embedding(grammar.size, width)
        self.position = nn.Embedding(grammar.max_length + 1, width)
        sizes = (n, len(grammar.types) + 1, MAX_VALENCE + 1, 3, n + 1, n + 1)
        self.state = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        self.decoder = nn.ModuleList(TransformerBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.logits = nn.Linear(width, grammar.size)
        self.self_supervision = SelfSupervision(settings, self.code.latent, width, MAX_NUMBER)

    def states(self, graphs: GraphBatch, hidden: torch.Tensor | None = None) -> torch.Tensor:
        """[B, N, D] of the atoms of heavy-atom graphs; what hidden atoms [B, N] are is not seen."""
        h, pairs = self.embed(graphs, hidden)
        bias = pairs.permute(0, 3, 1, 2) + padding_bias(graphs.mask)
        for block in self.encoder:
            h = block(h, bias)
        return h

    def encode(self, graphs: GraphBatch) -> torch.Tensor:
        """Heavy-atom graphs -> z_2d [B, latent], the mean of the posterior."""
        return self.code(self.states(graphs), graphs).mean()

    def predict(self, z: torch.Tensor, tokens: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Unmasked logits [B, L, size] of every action, given z and the actions before it.

        tokens [B, L] (token l is seen from step l + 1 on), features [B, L, 6].
        """
        slots = self.code.unpack(z)  # [B, n, k]
        n = slots.shape[1]
        previous = F.pad(tokens[:, :-1], (1, 0), value=PAD)
        inputs = self._inputs(self._pointers(slots), previous, features)
        x = torch.cat([self._prefix(slots), inputs], 1)
        length = x.shape[1]
        causal = torch.full((length, length), float("-inf"), device=x.device).triu(1)
        causal[:n, :n] = 0
        for block in self.decoder:
            x = block(x, causal[None, None])
        return self.logits(self.norm(x[:, n:]))

    def _prefix(self, slots: torch.Tensor) -> torch.Tensor:
        """[B, n, D] of slots [B, n, k]: what every action sees."""
        return self.slot(slots) + self.place.weight

    def _pointers(self, slots: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, n, D] each of slots [B, n, k]: what the next atom's slot and the focus' slot add to an action."""
        return self.next_slot(slots), self.focus_slot(slots)

    def _inputs(
        self,
        pointers: tuple[torch.Tensor, torch.Tensor],
        previous: torch.Tensor,
        features: torch.Tensor,
        first: int = 0,
    ) -> torch.Tensor:
        """[B, L, D] of the actions from the one numbered `first` on.

        pointers: see `_pointers`; previous [B, L] the action before each; features [B, L, 6] of the state there.
        """
        x = self.token(previous) + self.position.weight[first : first + previous.shape[1]]
        for column, embedding in enumerate(self.state):
            x = x + embedding(features[..., column])
        # Where the work stands points at two slots: that of the atom to come, and that of the focus.
        for column, slots in zip((4, 0), pointers, strict=True):
            place = features[..., column, None].clamp(max=slots.shape[1] - 1)
            x = x + torch.gather(slots, 1, place.expand(-1, -1, x.shape[2]))
        return x

    def forward(
        self, graphs: GraphBatch, sequences: SequenceBatch, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """Negative evidence bound with the KL term weighted by beta (nats per molecule), and its parts."""
        states = self.states(graphs)
        posterior = self.code(states, graphs)
        z, kl = posterior.draw(generator), posterior.kl()
        logits = self.predict(z, sequences.tokens, sequences.features)
        # A large finite number instead of -inf: padding allows nothing and must not make NaN.
        logits = logits.float().masked_fill(~sequences.masks, -1e9)
        tokens = sequences.tokens
        nll = F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), ignore_index=PAD, reduction="sum") / len(z)
        correct = (logits.argmax(-1) == tokens) | (tokens == PAD)
        losses = {"loss": nll + self.beta * kl, "nll": nll, "kl": kl, "exact": correct.all(1).float().mean()}
        return with_self_supervision(self.self_supervision, losses, self.code, graphs, states, self.states, generator)

    @torch.no_grad()
    def decode(self, z: torch.Tensor) -> Builder:
        """Greedy decoding of codes [B, latent]. The result is a finished Builder.

        Each step computes one action of every unfinished molecule; what the actions before it gave is remembered.
        """
        builder, slots = Builder(self.grammar, len(z), z.device), self.code.unpack(z)
        pointers, past = self._pointers(slots), [KeyValues() for _ in self.decoder]
        self._decoded(self._prefix(slots), past)
        rows = torch.arange(len(z), device=z.device)  # the unfinished ones, and some that finished of late
        actions = torch.full_like(rows, PAD)
        for step in range(self.grammar.max_length):
            x = self._inputs(pointers, actions[rows, None], builder.features()[rows, None], step)
            logits = self.logits(self.norm(self._decoded(x, past)[:, -1]))
            actions = torch.full_like(actions, PAD)
            actions[rows] = logits.masked_fill(~builder.mask()[rows], float("-inf")).argmax(1)
            builder.step(actions)
            going = ~builder.done[rows]
            count = int(going.sum())
            if count == 0:
                break
            if count <= len(rows) / 2:
                rows, pointers = rows[going], tuple(of_slots[going] for of_slots in pointers)
                for block in past:
                    block.keep(going)
        return builder

    def _decoded(self, x: torch.Tensor, past: list[KeyValues]) -> torch.Tensor:
        """[B, L, D] that the decoder makes of further tokens."""
        for block, seen in zip(self.decoder, past, strict=True):
            x = block.extend(x, seen)
        return x


@torch.no_grad()
def encode_graphs(model: TopologicalAutoencoder, graphs: Graphs) -> torch.Tensor:
    """Codes [M, latent] of many graphs, on the CPU."""
    heavy = graphs.heavy()
    there = heavy.to(next(model.parameters()).device)
    codes = [model.encode(there.padded(rows)).cpu() for rows in in_parts(heavy.sizes, GRAPHS_AT_ONCE)]
    return torch.cat([torch.zeros(0, model.code.latent), *codes])


def decode_graphs(model: TopologicalAutoencoder, z: torch.Tensor) -> list[Molecule]:
    """The graphs of many codes [M, latent], as molecules without positions."""
    longest = model.grammar.max_atoms + model.grammar.max_length
    parts = z.split(min(GRAPHS_AT_ONCE, max(1, TOKENS_AT_ONCE // longest)))
    return [molecule for part in parts for molecule in model.decode(part).molecules()]
