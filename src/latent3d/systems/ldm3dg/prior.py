"""The latent diffusion of LDM-3DG: one vector, two residual stacks, T = 500."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from latent3d.diffusion.latents import PCAWhitening, StandardScaling
from latent3d.diffusion.objectives import Denoiser
from latent3d.diffusion.samplers import sample
from latent3d.diffusion.streams import Streams
from latent3d.systems.ldm3dg.settings import TIMES, Diffusion


class ResidualStacks(nn.Module):
    """Two stacks of x <- x + GELU(W x), with a learned vector for each of the 500 times added between them."""

    def __init__(self, dimension: int, width: int, layers: int) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(dimension, width), nn.Linear(width, dimension)
        self.time = nn.Embedding(TIMES, width)
        self.before, self.after = (nn.ModuleList(nn.Linear(width, width) for _ in range(layers)) for _ in range(2))

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: None = None) -> torch.Tensor:
        """[B, D], times k / 500 [B] with k from 1 to 500 -> [B, D]."""
        h = self.into(x)
        for layer in self.before:
            h = h + F.gelu(layer(h))
        h = h + self.time((t * TIMES).round().long() - 1)
        for layer in self.after:
            h = h + F.gelu(layer(h))
        return self.out(h)


class RawLatents(nn.Module):
    """Tanh latents [z_2d, z_3d] diffused as they are (released); what is drawn is clipped to [-1, 1]."""

    def fit(self, latents: torch.Tensor) -> None:
        """Nothing to take from latents [M, D]."""

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """[B, D], unchanged."""
        return latents

    def restore(self, x: torch.Tensor) -> torch.Tensor:
        """[B, D] clipped."""
        return x.clamp(-1, 1)


class StandardLatents(nn.Module):
    """[mean of z_2d, z_3d]: the first coordinatewise standardised, the second whitened (corrected)."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__()
        self.first, self.second = StandardScaling(first), PCAWhitening(second)
        self.widths = [first, second]

    def fit(self, latents: torch.Tensor) -> None:
        """Take moments from latents [M, D]."""
        for part, values in zip((self.first, self.second), latents.split(self.widths, 1), strict=True):
            part.fit(values)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """[B, D] of zero mean and unit variance."""
        first, second = latents.split(self.widths, 1)
        return torch.cat([self.first(first), self.second(second)], 1)

    def restore(self, x: torch.Tensor) -> torch.Tensor:
        """Inverse of `forward`."""
        first, second = x.split(self.widths, 1)
        return torch.cat([self.first.restore(first), self.second.restore(second)], 1)


class CodeDiffusion(nn.Module):
    """Density of latents [z_2d, z_3d] of the given widths."""

    def __init__(self, widths: tuple[int, int], settings: Diffusion) -> None:
        super().__init__()
        self.widths, self.is_raw = list(widths), settings.codes == "raw"
        network = ResidualStacks(sum(widths), settings.width, settings.layers)
        self.denoiser = Denoiser(network, settings.objective, settings.schedule)
        self.codes = RawLatents() if self.is_raw else StandardLatents(*widths)

    def forward(self, latents: torch.Tensor, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Diffusion loss of latents [B, D], at times drawn uniformly from the chain's 500."""
        t = torch.randint(1, TIMES + 1, (len(latents),), generator=generator) / TIMES
        eps = torch.randn(latents.shape, generator=generator)
        error = self.denoiser.square_error(self.codes(latents), t.to(latents.device), eps.to(latents.device))
        return {"loss": error.mean()}

    def draw(self, streams: Streams, steps: int, sampler: str) -> torch.Tensor:
        """Codes [B, D], one per stream."""
        return self.codes.restore(sample(self.denoiser, partial(streams.normal, sum(self.widths)), steps, sampler))
