"""A data distribution whose optimal denoiser is known: N(MEAN, STD^2), or N(c, STD^2) for a condition c."""

import torch
from torch import nn

from latent3d.diffusion.objectives import NoiseLevel, target

MEAN, STD = 1.5, 0.4


def draws(count, seed=0):
    """A source of noise [count, 1], and the list of what it gave."""
    generator, drawn = torch.Generator().manual_seed(seed), []

    def noise():
        drawn.append(torch.randn(count, 1, generator=generator))
        return drawn[-1]

    return noise, drawn


def ideal_output(objective, schedule, x, t, mean, std):
    """What an ideal network says of data N(mean, std^2), under any objective and schedule."""
    level = NoiseLevel.at(schedule, t)
    variance = level.alpha**2 * std**2 + level.sigma**2
    x0 = mean + level.alpha * std**2 / variance * (x - level.alpha * mean)
    eps = (x - level.alpha * x0) / level.sigma.clamp(min=1e-6)
    return target(objective, x0, eps, level.alpha, level.sigma)


class ExactGaussian(nn.Module):
    """The ideal network for data N(MEAN, std^2)."""

    def __init__(self, objective, schedule, std=STD):
        super().__init__()
        self.objective, self.schedule, self.std = objective, schedule, std

    def forward(self, x, t, condition=None):
        return ideal_output(self.objective, self.schedule, x, t, MEAN, self.std)


class ExactConditional(nn.Module):
    """The ideal network for c ~ N(MEAN, 1) and data N(c, STD^2), trained with c left out at times (NaN)."""

    def __init__(self, objective, schedule):
        super().__init__()
        self.objective, self.schedule = objective, schedule

    def forward(self, x, t, condition):
        known = condition.isfinite()
        mean = torch.where(known, condition, MEAN)
        std = torch.where(known, STD, (1 + STD**2) ** 0.5)
        return ideal_output(self.objective, self.schedule, x, t, mean, std)

    def null_condition(self, condition):
        return torch.full_like(condition, torch.nan)
