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


def polynomial_2(t: torch.Tensor) -> torch.Tensor:
    """EDM's schedule (1 - 2s) (1 - t^2)^2 + s with s = 1e-5 (Hoogeboom et al. 2022, appendix B).

    The ratio of consecutive values is clipped at 0.001, which on EDM's grid of 1000 steps concerns the last one alone.
    """
    s, last = 1e-5, 0.001 * (1 - (1 - 1 / 1000) ** 2) ** 2
    return (1 - 2 * s) * ((1 - t**2) ** 2).clamp(min=last) + s


SCHEDULES: dict[str, Schedule] = {"cosine": cosine, "linear": linear, "polynomial_2": polynomial_2}
