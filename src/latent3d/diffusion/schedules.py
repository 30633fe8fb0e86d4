"""Noise schedules: alpha_bar(t) for t in [0, 1], from 1 (data) to 0 (noise)."""

import math
from collections.abc import Callable

import torch

Schedule = Callable[[torch.Tensor], torch.Tensor]


def cosine(t: torch.Tensor) -> torch.Tensor:
    """Cosine schedule with zero terminal signal-to-noise ratio: cos^2(pi t / 2) (Nichol & Dhariwal 2021, s = 0)."""
    return torch.cos(0.5 * math.pi * t) ** 2


def linear(t: torch.Tensor) -> torch.Tensor:
    """Linear beta schedule 1e-4..0.02 over 1000 steps in continuous time (Ho et al. 2020, Song et al. 2021)."""
    return torch.exp(-0.1 * t - 0.5 * 19.9 * t**2)


SCHEDULES: dict[str, Schedule] = {"cosine": cosine, "linear": linear}
