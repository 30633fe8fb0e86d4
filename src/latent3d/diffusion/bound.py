"""Terms of the variational bound on -log p(x, h) of point clouds, in nats per molecule.

Kingma et al. 2021 (VDM, eq. 11-15) on the subspace without centre of gravity, with EDM's decoding of discrete features
(Hoogeboom et al. 2022, eq. 17-19 and appendix A). Shapes: z, eps and predictions [B, N, 3 + F]; mask [B, N]; every term
is [B].
"""

import math

import torch

from latent3d.diffusion.objectives import NoiseLevel
from latent3d.diffusion.points import SCHEDULE, TIMES

LOG_TAU = math.log(2 * math.pi)


def degrees_of_freedom(mask: torch.Tensor) -> torch.Tensor:
    """[B] dimensions of positions without centre of gravity: 3 (N - 1)."""
    return 3 * (mask.sum(1) - 1)


def prior_term(z0: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """L_T = KL(q(z_T | z_0) || N(0, 1))."""
    level = NoiseLevel.at(SCHEDULE, z0.new_ones(len(z0)))
    variance = level.sigma.squeeze(1) ** 2
    dimensions = degrees_of_freedom(mask) + mask.sum(1) * (z0.shape[-1] - 3)
    mean_square = (level.alpha.squeeze(1) ** 2) * z0.square().sum((1, 2))
    return 0.5 * (mean_square + dimensions * (variance - 1 - variance.log()))


def diffusion_term(eps: torch.Tensor, predicted: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """L_k = (SNR(k - 1) / SNR(k) - 1) / 2 |eps - predicted|^2 at steps k [B] in 1 ... 1000; the bound has their sum."""
    ratio = snr((k - 1) / TIMES) / snr(k / TIMES)
    return 0.5 * (ratio - 1) * (eps - predicted).square().sum((1, 2))


def position_term(eps: torch.Tensor, predicted: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """-log p(x | z_0) with p = N(x^(z_0), sigma_0^2 / alpha_0^2), from the noise of z_0 and its prediction."""
    log_sigma = -0.5 * snr(eps.new_zeros(1)).log()
    error = 0.5 * (eps - predicted)[..., :3].square().sum((1, 2))
    return error + degrees_of_freedom(mask) * (log_sigma + 0.5 * LOG_TAU)


def type_term(z_types: torch.Tensor, types: torch.Tensor, mask: torch.Tensor, scale: float) -> torch.Tensor:
    """-log p(element | z_0): mass of N(z, sigma_0^2) within 1/2 of one, in units of `scale`, over that of all elements.

    z_types [B, N, E] is the scaled part of z_0, types [B, N] the true elements.
    """
    sigma = scale * NoiseLevel.at(SCHEDULE, z_types.new_zeros(1)).sigma
    log_mass = _log_mass(1 - scale * z_types, sigma)
    log_p = log_mass.log_softmax(-1).gather(-1, types[..., None]).squeeze(-1)
    return -(log_p * mask).sum(1)


def charge_term(z_charges: torch.Tensor, charges: torch.Tensor, mask: torch.Tensor, scale: float) -> torch.Tensor:
    """-log p(charge | z_0): mass of N(z, sigma_0^2) within 1/2 of the true number. Both [B, N]."""
    sigma = scale * NoiseLevel.at(SCHEDULE, z_charges.new_zeros(1)).sigma
    return -(_log_mass(charges - scale * z_charges, sigma.squeeze(-1)) * mask).sum(1)


def snr(t: torch.Tensor) -> torch.Tensor:
    """alpha^2 / sigma^2 at times t [B]."""
    level = NoiseLevel.at(SCHEDULE, t, 1)
    return (level.alpha / level.sigma) ** 2


def _log_mass(centre: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """log of the mass of N(0, sigma^2) in [centre - 1/2, centre + 1/2]."""
    upper, lower = torch.special.ndtr((centre + 0.5) / sigma), torch.special.ndtr((centre - 0.5) / sigma)
    return (upper - lower + 1e-10).log()
