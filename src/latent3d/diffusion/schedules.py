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


def linear_500(t: torch.Tensor) -> torch.Tensor:
    """LDM-3DG's chain: beta from 1e-4 to 0.02 over 500 steps, products of 1 - beta (You et al. 2024, released code).

    At t = k / 500 it is the chain's alpha_bar_k, in between the logarithm is linear. It ends at 0.00635: a share of
    0.08 of the latents is left where sampling starts from pure noise.
    """
    beta = torch.linspace(1e-4, 0.02, 500, dtype=torch.float64)
    log_alpha_bar = torch.cat([torch.zeros(1, dtype=torch.float64), torch.log1p(-beta).cumsum(0)]).to(t.device)
    place = (t.double() * 500).clamp(0, 500)
    below = place.floor().long().clamp(max=499)
    return torch.lerp(log_alpha_bar[below], log_alpha_bar[below + 1], place - below).exp().to(t.dtype)


def linear_500_zero(t: torch.Tensor) -> torch.Tensor:
    """`linear_500` with zero terminal signal-to-noise ratio: sqrt(alpha_bar) shifted and scaled (Lin et al. 2024)."""
    root, last = linear_500(t).sqrt(), linear_500(torch.ones_like(t)).sqrt()
    return ((root - last) / (1 - last)) ** 2


SCHEDULES: dict[str, Schedule] = {
    "cosine": cosine,
    "linear": linear,
    "linear_500": linear_500,
    "linear_500_zero": linear_500_zero,
    "polynomial_2": polynomial_2,
}
