"""Latent diffusion: the density of a standardised code, given another one (or nothing)."""

from functools import partial

import torch
from torch import nn

from latent3d.diffusion.guidance import Autoguided
from latent3d.diffusion.latents import StandardScaling
from latent3d.diffusion.objectives import Denoiser
from latent3d.diffusion.samplers import sample
from latent3d.diffusion.streams import Streams


class LatentDiffusion(nn.Module):
    """Denoiser of codes [B, D] given codes [B, C] (C = 0 for none)."""

    def __init__(self, network: nn.Module, dimension: int, condition: int, objective: str, schedule: str) -> None:
        super().__init__()
        self.denoiser = Denoiser(network, objective, schedule, limit=8.0)
        self.codes, self.given = StandardScaling(dimension), StandardScaling(condition)
        self.guided: Autoguided | None = None

    def forward(self, codes: torch.Tensor, given: torch.Tensor, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Diffusion loss of codes [B, D] given codes [B, C], with stratified times."""
        count, device = len(codes), codes.device
        t = (torch.rand(1, generator=generator) + torch.arange(count) / count) % 1
        eps = torch.randn(codes.shape, generator=generator)
        error = self.denoiser.square_error(self.codes(codes), t.to(device), eps.to(device), self.given(given))
        return {"loss": error.mean()}

    def set_autoguidance(self, weaker: "LatentDiffusion", weight: float) -> None:
        """Draw with autoguidance from now on."""
        self.guided = Autoguided(self.denoiser, weaker.denoiser, weight)

    def draw(self, given: torch.Tensor, streams: Streams, steps: int, sampler: str) -> torch.Tensor:
        """Codes [B, D] given codes [B, C], one per stream."""
        noise = partial(streams.normal, len(self.codes.mean))
        return self.codes.restore(sample(self.guided or self.denoiser, noise, steps, sampler, self.given(given)))
