"""Molecular graphs as sentences of the grammar, as flat arrays from which batches are made."""

from dataclasses import dataclass

import numpy as np
import torch

from latent3d.graphs.graph_batches import Graphs
from latent3d.graphs.ragged import RaggedTensor, Rows
from latent3d.systems.latent3d.grammar import FEATURES, Builder, Grammar

_REPLAYED_AT_ONCE = 500  # molecules


@dataclass(frozen=True)
class SequenceBatch:
    """B sequences of actions padded to L, with everything the decoder needs.

    Attributes:
        tokens: [B, L] int64, PAD after END.
        features: [B, L, FEATURES] int64 of the state before each action, zero at padding.
        masks: [B, L, size] bool, the actions allowed there, none at padding.
    """

    tokens: torch.Tensor
    features: torch.Tensor
    masks: torch.Tensor


@dataclass(frozen=True)
class Sequences:
    """M sequences of actions as flat arrays.

    Attributes:
        grammar: what the actions are.
        tokens: [L] int16 of each.
        features: [L, FEATURES] int16.
        masks: [L, size / 8] uint8, eight actions a byte.
    """

    grammar: Grammar
    tokens: RaggedTensor
    features: RaggedTensor
    masks: RaggedTensor

    def to(self, device: str | torch.device) -> "Sequences":
        """The same on another device."""
        return Sequences(self.grammar, *(part.to(device) for part in (self.tokens, self.features, self.masks)))

    def padded(self, rows: Rows | None = None) -> SequenceBatch:
        """The sequences at `rows` (all without) as a batch on the same device."""
        bits, places = self.masks.padded(rows), torch.arange(8, device=self.masks.values.device)
        masks = (bits[..., None] >> places & 1).flatten(2)[..., : self.grammar.size].bool()
        return SequenceBatch(self.tokens.padded(rows).long(), self.features.padded(rows).long(), masks)


def read_sequences(grammar: Grammar, graphs: Graphs) -> Sequences:
    """Encode graphs as actions in canonical order and replay them. Every graph must be in the grammar."""
    encoded = RaggedTensor.of([np.array(grammar.encode(graph)) for graph in graphs], np.zeros(0, np.int16))
    features, masks = [np.zeros((0, FEATURES), np.int16)], [np.zeros((0, -(-grammar.size // 8)), np.uint8)]
    for rows in np.split(np.arange(len(encoded)), range(_REPLAYED_AT_ONCE, len(encoded), _REPLAYED_AT_ONCE)):
        tokens = encoded.padded(rows).long()
        builder = Builder(grammar, len(tokens))
        states, allowed = [], []
        for step in range(tokens.shape[1]):
            states.append(builder.features().short())
            allowed.append(builder.mask())
            builder.step(tokens[:, step])
        there = encoded.mask(rows)
        features.append(torch.stack(states, 1)[there].numpy())
        masks.append(np.packbits(torch.stack(allowed, 1)[there].numpy(), axis=1, bitorder="little"))
    flat = (RaggedTensor(torch.from_numpy(np.concatenate(parts)), encoded.offsets) for parts in (features, masks))
    return Sequences(grammar, encoded, *flat)
