"""The optimiser, its learning rate, and the limit on gradients, from a stage's settings."""

import torch
from torch import nn

from latent3d.training import settings


def adamw(model: nn.Module, optimizer: settings.Optimizer) -> torch.optim.AdamW:
    """AdamW with learning_rate, weight_decay, beta_2, amsgrad."""
    return torch.optim.AdamW(
        model.parameters(),
        lr=optimizer.learning_rate,
        weight_decay=optimizer.weight_decay,
        betas=(0.9, optimizer.beta_2),
        amsgrad=optimizer.amsgrad,
        fused=True,
    )


def learning_rate_factor(step: int, optimizer: settings.Optimizer) -> float:
    """Linear warm-up, then `decay`: constant, linear to 1 % of the peak, `decay_factor` every `decay_every` steps."""
    warmup = min((step + 1) / max(optimizer.warmup, 1), 1.0)
    if isinstance(optimizer, settings.StepDecay) and optimizer.decay == "steps":
        return warmup * optimizer.decay_factor ** (step // optimizer.decay_every)
    return warmup * (1.0 if optimizer.decay == "constant" else max(1 - step / optimizer.steps, 0.01))


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


def gradient_clip(optimizer: settings.Clipped) -> FixedClip | RecentClip:
    """The rule of a stage: `clip` is a fixed norm, `clip_window` the number of recent norms that set it."""
    if isinstance(optimizer, settings.FixedClipping):
        return FixedClip(optimizer.clip)
    return RecentClip(optimizer.clip_window)
