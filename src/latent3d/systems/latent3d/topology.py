"""Topological autoencoder: molecular graph -> z_2d -> molecular graph, valid by construction.

The encoder is a graph transformer over heavy atoms; z_2d is the code of a variational autoencoder with a small weight
on the KL term, a few numbers for each heavy atom in canonical order (`slots`). The decoder is a causal transformer that
writes the actions of `grammar.Grammar`; actions that the grammar forbids have probability zero, in training as in
sampling.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from latent3d.graphs.molecular_graphs import Graph, GraphBatch, pad_graphs
from latent3d.nets.graph_embedding import MAX_NUMBER, MAX_VALENCE, GraphEmbedding
from latent3d.nets.self_supervision import SelfSupervision
from latent3d.nets.slots import SlotCode, with_self_supervision
from latent3d.nets.transformer import TransformerBlock, padding_bias
from latent3d.systems.latent3d.grammar import PAD, Builder, Grammar

FEATURES = 6  # of Builder.features


@dataclass(frozen=True)
class Sequences:
    """Action sequences with everything the decoder needs, for M graphs.

    tokens [M, L] (PAD after END), features [M, L, 6] of the state before each action, masks [M, L, size] allowed there.
    """

    tokens: torch.Tensor
    features: torch.Tensor
    masks: torch.Tensor

    @property
    def lengths(self) -> torch.Tensor:
        """[M] number of actions of each sequence."""
        return (self.tokens != PAD).sum(1)

    def select(self, indices: torch.Tensor, length: int) -> "Sequences":
        """The sequences at `indices`, cut to the first `length` actions (which must hold them)."""
        return Sequences(*(t[indices, :length] for t in (self.tokens, self.features, self.masks)))

    def to(self, device: str | torch.device) -> "Sequences":
        """The same on another device."""
        return Sequences(*(t.to(device) for t in (self.tokens, self.features, self.masks)))


def read_sequences(grammar: Grammar, graphs: list[Graph]) -> Sequences:
    """Encode graphs as actions in canonical order and replay them. Every graph must be in the grammar."""
    encoded = [grammar.encode(graph) for graph in graphs]
    tokens = torch.full((len(encoded), max(map(len, encoded))), PAD)
    for row, actions in enumerate(encoded):
        tokens[row, : len(actions)] = torch.tensor(actions)
    builder = Builder(grammar, len(encoded))
    features, masks = [], []
    for step in range(tokens.shape[1]):
        features.append(builder.features())
        masks.append(builder.mask())
        builder.step(tokens[:, step])
    return Sequences(tokens, torch.stack(features, 1), torch.stack(masks, 1))


class TopologicalAutoencoder(nn.Module):
    """Graph to z_2d [B, latent] and back."""

    def __init__(
        self,
        grammar: Grammar,
        atom_latent: int,
        width: int,
        layers: int,
        heads: int,
        beta: float,
        self_supervision: str = "none",
        self_supervision_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.grammar, self.beta = grammar, beta
        n = grammar.max_atoms
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
        self.self_supervision = SelfSupervision(
            self_supervision, self_supervision_weight, self.code.latent, width, MAX_NUMBER
        )

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
        x = self.token(previous) + self.position.weight[: tokens.shape[1]]
        for column, embedding in enumerate(self.state):
            x = x + embedding(features[..., column])
        # Where the work stands points at two slots: that of the atom to come, and that of the focus.
        for column, layer in ((4, self.next_slot), (0, self.focus_slot)):
            x = x + torch.gather(layer(slots), 1, _rows(features[..., column].clamp(max=n - 1), x.shape[2]))
        x = torch.cat([self.slot(slots) + self.place.weight, x], 1)
        length = x.shape[1]
        causal = torch.full((length, length), float("-inf"), device=x.device).triu(1)
        causal[:n, :n] = 0
        for block in self.decoder:
            x = block(x, causal[None, None])
        return self.logits(self.norm(x[:, n:]))

    def forward(self, graphs: GraphBatch, sequences: Sequences, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Negative evidence bound with the KL term weighted by beta (nats per molecule), and its parts."""
        states = self.states(graphs)
        posterior = self.code(states, graphs)
        z, kl = posterior.draw(generator), posterior.kl()
        logits = self.predict(z, sequences.tokens, sequences.features)
        # A large finite number instead of -inf: padding rows allow PAD alone and must not make NaN.
        logits = logits.float().masked_fill(~sequences.masks, -1e9)
        tokens = sequences.tokens
        nll = F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), ignore_index=PAD, reduction="sum") / len(z)
        correct = (logits.argmax(-1) == tokens) | (tokens == PAD)
        losses = {"loss": nll + self.beta * kl, "nll": nll, "kl": kl, "exact": correct.all(1).float().mean()}
        return with_self_supervision(self.self_supervision, losses, self.code, graphs, states, self.states, generator)

    @torch.no_grad()
    def decode(self, z: torch.Tensor) -> Builder:
        """Greedy decoding of codes [B, latent]. The result is a finished Builder."""
        builder = Builder(self.grammar, len(z), z.device)
        tokens = torch.zeros(len(z), 0, dtype=torch.long, device=z.device)
        features = torch.zeros(len(z), 0, FEATURES, dtype=torch.long, device=z.device)
        for _ in range(self.grammar.max_length):
            features = torch.cat([features, builder.features()[:, None]], 1)
            # The last entry of `tokens` is not seen by the step it belongs to.
            logits = self.predict(z, F.pad(tokens, (0, 1)), features)[:, -1]
            action = logits.masked_fill(~builder.mask(), float("-inf")).argmax(1)
            builder.step(action)
            tokens = torch.cat([tokens, action[:, None]], 1)
            if builder.done.all():
                break
        return builder


def _rows(index: torch.Tensor, width: int) -> torch.Tensor:
    """Index [B, L] repeated over the last axis, for gathering rows of [B, n, width]."""
    return index[..., None].expand(-1, -1, width)


def encode_graphs(model: TopologicalAutoencoder, graphs: list[Graph], batch_size: int = 500) -> torch.Tensor:
    """Codes [M, latent] of many graphs, on the CPU."""
    device = next(model.parameters()).device
    batches = [graphs[i : i + batch_size] for i in range(0, len(graphs), batch_size)]
    with torch.no_grad():
        return torch.cat(
            [
                torch.zeros(0, model.code.latent),
                *(model.encode(pad_graphs(b).heavy().to(device)).cpu() for b in batches),
            ]
        )
