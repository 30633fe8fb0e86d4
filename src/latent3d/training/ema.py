"""Exponential moving average of weights."""

import torch
from torch import nn


@torch.no_grad()
def ema_update(ema: dict[str, torch.Tensor], model: nn.Module, decay: float, step: int) -> None:
    """Move `ema` towards the model's weights in place; the decay warms up as (1 + k) / (10 + k) (Song et al. 2020)."""
    decay = min(decay, (1 + step) / (10 + step))
    current = model.state_dict()
    averaged = [ema[key] for key in ema if ema[key].is_floating_point()]
    torch._foreach_lerp_(averaged, [current[key] for key in ema if ema[key].is_floating_point()], 1 - decay)
    for key, value in ema.items():
        if not value.is_floating_point():
            value.copy_(current[key])
