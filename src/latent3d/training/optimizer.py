"""The optimiser, its learning rate, and the limit on gradients, from a stage's hyper-parameters."""

from typing import Any

import torch
from torch import nn

Hyperparameters = dict[str, Any]


def adamw(model: nn.Module, h: Hyperparameters) -> torch.optim.AdamW:
    """AdamW with learning_rate, weight_decay, beta_2, amsgrad."""
    return torch.optim.AdamW(
        model.parameters(),
        lr=h["learning_rate"],
        weight_decay=h["weight_decay"],
        betas=(0.9, h["beta_2"]),
        amsgrad=h["amsgrad"],
        fused=True,
    )


def learning_rate_factor(step: int, h: Hyperparameters) -> float:
    """Linear warm-up, then `decay`: constant, linear to 1 % of the peak, `decay_factor` every `decay_every` steps."""
    warmup = min((step + 1) / max(h["warmup"], 1), 1.0)
    if h["decay"] == "steps":
        return warmup * h["decay_factor"] ** (step // h["decay_every"])
    return warmup * (1.0 if h["decay"] == "constant" else max(1 - step / h["steps"], 0.01))


class FixedClip(nn.Module):
    """Gradients are scaled down to a norm of `limit`."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, model: nn.Module, step: int) -> None:
        """Clip the gradients of a model."""
        torch.nn.utils.clip_grad_norm_(model.parameters(), self.limit)


class RecentClip(nn.Module):
    """Gradients are scaled down to 1.5 mean + 2 std of the last `window` norms, clipped ones as clipped.

    EDM's rule (Hoogeboom et al. 2022, released code): the window starts with one norm of 3000. Everything stays on the
    device, so that no step waits for it.
    """

    def __init__(self, window: int) -> None:
        super().__init__()
        self.register_buffer("norms", torch.full((window,), float("nan")))
        self.norms[0] = 3000

    def forward(self, model: nn.Module, step: int) -> None:
        """Clip the gradients of a model; step counts from 0."""
        mean = self.norms.nanmean()
        limit = 1.5 * mean + 2 * (self.norms - mean).square().nanmean().sqrt()
        norm = torch.nn.utils.get_total_norm(p.grad for p in model.parameters() if p.grad is not None)
        torch.nn.utils.clip_grads_with_norm_(model.parameters(), limit, norm)
        self.norms[(step + 1) % len(self.norms)] = torch.minimum(norm, limit)


def gradient_clip(h: Hyperparameters) -> FixedClip | RecentClip:
    """The rule of a stage: `clip` is a fixed norm, `clip_window` the number of recent norms that set it."""
    return FixedClip(h["clip"]) if "clip" in h else RecentClip(h["clip_window"])
