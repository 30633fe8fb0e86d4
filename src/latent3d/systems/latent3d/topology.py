"""Topological autoencoder: molecular graph -> z_2d -> molecular graph, valid by construction.

The encoder is a graph transformer over heavy atoms; z_2d is the code of a variational autoencoder with a small weight
on the KL term. The decoder is a causal transformer that writes the actions of `grammar.Grammar`; actions that the
grammar forbids have probability zero, in training as in sampling.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from latent3d.nets.gaussian import GaussianCode, draw, kl_divergence
from latent3d.nets.transformer import AttentionPooling, TransformerBlock, padding_bias
from latent3d.systems.latent3d.embedding import MAX_VALENCE, GraphEmbedding
from latent3d.systems.latent3d.grammar import PAD, Builder, Grammar, random_order
from latent3d.systems.latent3d.graphs import Graph, GraphBatch, pad_graphs

FEATURES = 6  # of Builder.features


@dataclass(frozen=True)
class Sequences:
    """Action sequences with everything the decoder needs, for M graphs.

    tokens [M, L] (PAD after END), features [M, L, 6] of the state before each action, masks [M, L, size] allowed there.
    """

    tokens: torch.Tensor
    features: torch.Tensor
    masks: torch.Tensor

    def select(self, indices: torch.Tensor) -> "Sequences":
        """The sequences at `indices`, cut to the longest among them."""
        length = int((self.tokens[indices] != PAD).sum(1).max())
        return Sequences(*(t[indices, :length] for t in (self.tokens, self.features, self.masks)))

    def to(self, device: str | torch.device) -> "Sequences":
        """The same on another device."""
        return Sequences(*(t.to(device) for t in (self.tokens, self.features, self.masks)))


def read_sequences(grammar: Grammar, graphs: list[Graph], orders: int, seed: int) -> Sequences:
    """Encode each graph in `orders` random depth-first orders and replay the actions.

    Writing a molecule from any of its atoms, the decoder cannot recite training sentences from their first words: it
    has to read the graph out of z_2d. Sequence m * orders + k is order k of graph m.
    """
    rng = np.random.default_rng(seed)
    encoded = [grammar.encode(graph, random_order(graph, rng)) for graph in graphs for _ in range(orders)]
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

    def __init__(self, grammar: Grammar, latent: int, width: int, layers: int, heads: int, beta: float) -> None:
        super().__init__()
        self.grammar, self.beta = grammar, beta
        self.embed = GraphEmbedding(width, heads)
        self.encoder = nn.ModuleList(TransformerBlock(width, heads) for _ in range(layers))
        self.pool = AttentionPooling(width, queries=8)
        self.code = GaussianCode(9 * width, width, latent)

        self.prefix = nn.Linear(latent, 4 * width)
        self.token = nn.Embedding(grammar.size, width)
        self.position = nn.Embedding(grammar.max_length + 1, width)
        n = grammar.max_atoms
        sizes = (n, len(grammar.types) + 1, MAX_VALENCE + 1, 3, n + 1, n + 1)
        self.state = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        self.decoder = nn.ModuleList(TransformerBlock(width, heads, condition=latent) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.logits = nn.Linear(width, grammar.size)

    def posterior(self, graphs: GraphBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Heavy-atom graphs -> mean and log variance of z_2d, [B, latent] each."""
        h, pairs = self.embed(graphs)
        bias = pairs.permute(0, 3, 1, 2) + padding_bias(graphs.mask)
        for block in self.encoder:
            h = block(h, bias)
        total = (h * graphs.mask[..., None]).sum(1) / 8
        return self.code(torch.cat([self.pool(h, graphs.mask), total], -1))

    def encode(self, graphs: GraphBatch) -> torch.Tensor:
        """Heavy-atom graphs -> z_2d [B, latent], the mean of the posterior."""
        return self.posterior(graphs)[0]

    def predict(self, z: torch.Tensor, tokens: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Unmasked logits [B, L, size] of every action, given z and the actions before it.

        tokens [B, L] (token l is seen from step l + 1 on), features [B, L, 6].
        """
        previous = F.pad(tokens[:, :-1], (1, 0), value=PAD)
        x = self.token(previous) + self.position.weight[: tokens.shape[1]]
        for column, embedding in enumerate(self.state):
            x = x + embedding(features[..., column])
        x = torch.cat([self.prefix(z).unflatten(1, (4, -1)), x], 1)
        length = x.shape[1]
        causal = torch.full((length, length), float("-inf"), device=x.device).triu(1)
        causal[:4, :4] = 0
        for block in self.decoder:
            x = block(x, causal[None, None], z)
        return self.logits(self.norm(x[:, 4:]))

    def forward(self, graphs: GraphBatch, sequences: Sequences, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Negative evidence bound with the KL term weighted by beta (nats per molecule), and its parts."""
        mean, log_variance = self.posterior(graphs)
        z = draw(mean, log_variance, generator)
        logits = self.predict(z, sequences.tokens, sequences.features)
        # A large finite number instead of -inf: padding rows allow PAD alone and must not make NaN.
        logits = logits.float().masked_fill(~sequences.masks, -1e9)
        is_action = sequences.tokens != PAD
        nll = F.cross_entropy(logits[is_action], sequences.tokens[is_action], reduction="sum") / len(z)
        kl = kl_divergence(mean, log_variance)
        correct = (logits.argmax(-1) == sequences.tokens) | ~is_action
        return {"loss": nll + self.beta * kl, "nll": nll, "kl": kl, "exact": correct.all(1).float().mean()}

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


def encode_graphs(model: TopologicalAutoencoder, graphs: list[Graph], batch_size: int = 500) -> torch.Tensor:
    """Codes [M, latent] of many graphs, on the CPU."""
    device = next(model.parameters()).device
    batches = [graphs[i : i + batch_size] for i in range(0, len(graphs), batch_size)]
    with torch.no_grad():
        return torch.cat([model.encode(pad_graphs(b).heavy().to(device)).cpu() for b in batches])
