"""Latent diffusion: the density of standardised latents, given a condition or nothing."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from latent3d.diffusion.latents import StandardScaling
from latent3d.diffusion.model import PredictsX0
from latent3d.diffusion.objectives import Denoiser
from latent3d.diffusion.samplers import sample
from latent3d.diffusion.streams import Streams


class LatentDiffusion(nn.Module):
    """Denoiser of latents [B, D] given a condition [B, C] (None for C = 0), and the scalings of both."""

    def __init__(self, network: nn.Module, dimension: int, condition: int, objective: str, schedule: str) -> None:
        super().__init__()
        self.denoiser = Denoiser(network, objective, schedule, limit=8.0)
        # The names are those in weights files: `codes` are the latents, `given` is the condition.
        self.codes, self.given = StandardScaling(dimension), StandardScaling(condition)

    def forward(
        self, latents: torch.Tensor, condition: torch.Tensor | None, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """Diffusion loss of latents [B, D] given a condition [B, C], with stratified times."""
        count, device = len(latents), latents.device
        t = (torch.rand(1, generator=generator) + torch.arange(count) / count) % 1
        eps = torch.randn(latents.shape, generator=generator)
        x0, condition = self.codes(latents), _scaled(self.given, condition)
        return {"loss": self.denoiser.square_error(x0, t.to(device), eps.to(device), condition).mean()}

    def prior(self) -> "LatentPrior":
        """What latents are drawn from, once the weights are there."""
        return LatentPrior(self.denoiser, self.codes, self.given)


@dataclass(frozen=True)
class LatentPrior:
    """A model of standardised latents given a standardised condition, and the scalings around it.

    The model is the denoiser, or a guided one (guidance.py) of the same latents: `replace(prior, model=...)`.
    """

    model: PredictsX0
    latents: StandardScaling
    condition: StandardScaling

    def draw(self, streams: Streams, steps: int, sampler: str, condition: torch.Tensor | None = None) -> torch.Tensor:
        """Latents [B, D] given a condition [B, C], one per stream."""
        noise = partial(streams.normal, len(self.latents.mean))
        return self.latents.restore(sample(self.model, noise, steps, sampler, _scaled(self.condition, condition)))


def _scaled(scaling: StandardScaling, condition: torch.Tensor | None) -> torch.Tensor | None:
    return None if condition is None else scaling(condition)
