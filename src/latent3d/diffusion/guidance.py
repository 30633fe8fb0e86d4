"""Autoguidance: a denoiser led away from the mistakes of a weaker one (Karras et al. 2024, arXiv 2406.02507)."""

import torch

from latent3d.diffusion.objectives import Denoiser


class Autoguided:
    """D_weak + w (D - D_weak), for predictions D of x_0 by a denoiser and by a weaker one of the same data.

    Both spread probability to where no data are, the weaker one further; to extrapolate from it (w > 1) draws samples
    back. w = 1 is the denoiser alone.
    """

    def __init__(self, denoiser: Denoiser, weaker: Denoiser, weight: float) -> None:
        self.denoiser, self.weaker, self.weight = denoiser, weaker, weight
        self.schedule = denoiser.schedule

    def predict_x0(self, x: torch.Tensor, t: torch.Tensor, *given: torch.Tensor) -> torch.Tensor:
        """As `Denoiser.predict_x0`, within the limit of the denoiser."""
        strong, weak = (one.predict_x0(x, t, *given) for one in (self.denoiser, self.weaker))
        return (weak + self.weight * (strong - weak)).clamp(-self.denoiser.limit, self.denoiser.limit)
