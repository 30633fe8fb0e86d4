"""The Gaussian bottleneck of a variational autoencoder (Kingma & Welling 2014)."""

import torch
from torch import nn


class GaussianCode(nn.Module):
    """Features [..., F] to a diagonal Gaussian over codes [..., D]; it starts narrow (standard deviation 0.05)."""

    def __init__(self, features: int, width: int, latent: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, width), nn.GELU(), nn.Linear(width, 2 * latent))
        with torch.no_grad():
            self.layers[-1].bias[latent:] = -6

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance, [..., D] each. The mean is the code of a molecule (or of an atom)."""
        mean, log_variance = self.layers(x).float().chunk(2, -1)
        return mean, log_variance.clamp(-12, 4)


def draw(mean: torch.Tensor, log_variance: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A sample of the Gaussian; the noise comes from a CPU generator."""
    noise = torch.randn(mean.shape, generator=generator).to(mean.device)
    return mean + (0.5 * log_variance).exp() * noise


def kl_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL(N(mean, variance) || N(0, 1)) in nats per molecule, averaged over the batch."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1).mean()
