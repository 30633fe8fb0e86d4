"""Settings of samplers."""

from typing import Literal

from latent3d.base.settings import Count, Settings


class Sampling(Settings):
    """What samplers.py is told."""

    sampler: Literal["ddim", "ddpm", "dpmpp"]
    steps: Count  # network evaluations per sample
