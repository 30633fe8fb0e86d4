"""Greedy decoding of graphs written plainly: each step reads the whole sentence again."""

import torch
import torch.nn.functional as F

from latent3d.systems.latent3d.grammar import FEATURES, Builder
from latent3d.systems.latent3d.topology import TopologicalAutoencoder


@torch.no_grad()
def decode(model: TopologicalAutoencoder, z: torch.Tensor) -> Builder:
    """Codes [B, latent] to finished molecules with the network that training calls, on all actions so far."""
    builder = Builder(model.grammar, len(z), z.device)
    tokens = torch.zeros(len(z), 0, dtype=torch.long, device=z.device)
    features = torch.zeros(len(z), 0, FEATURES, dtype=torch.long, device=z.device)
    for _ in range(model.grammar.max_length):
        features = torch.cat([features, builder.features()[:, None]], 1)
        # The last entry of `tokens` is not seen by the step it belongs to.
        logits = model.predict(z, F.pad(tokens, (0, 1)), features)[:, -1]
        action = logits.masked_fill(~builder.mask(), float("-inf")).argmax(1)
        builder.step(action)
        tokens = torch.cat([tokens, action[:, None]], 1)
        if builder.done.all():
            break
    return builder
