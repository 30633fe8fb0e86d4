"""Guidance: models of x_0 made of other models, one equation each. They combine, and any sampler takes them.

Predictions stay within the limit of the model that is guided.
"""

from collections.abc import Callable
from typing import Protocol

import torch

from latent3d.diffusion.model import Condition, PredictsX0
from latent3d.diffusion.objectives import MIN_ALPHA, NoiseLevel

Energy = Callable[[torch.Tensor, torch.Tensor, Condition], torch.Tensor]
"""(x_0 [B, ...], t [B], condition) -> [B], differentiable in x_0."""


class Autoguided:
    """D_weak + w (D - D_weak), for predictions D of x_0 by a model and by a weaker one of the same data.

    Both spread probability to where no data are, the weaker one further; to extrapolate from it (w > 1) draws samples
    back. w = 1 is the model alone. Karras et al. 2024 (arXiv 2406.02507).
    """

    def __init__(self, model: PredictsX0, weaker: PredictsX0, weight: float) -> None:
        self.model, self.weaker, self.weight = model, weaker, weight
        self.schedule, self.limit = model.schedule, model.limit

    def predict_x0(self, x: torch.Tensor, t: torch.Tensor, condition: Condition = None) -> torch.Tensor:
        """See `PredictsX0`."""
        strong, weak = (model.predict_x0(x, t, condition) for model in (self.model, self.weaker))
        return (weak + self.weight * (strong - weak)).clamp(-self.limit, self.limit)


class DropsCondition(PredictsX0, Protocol):
    """A model that was trained with its condition and, at times, without."""

    def null_condition(self, condition: Condition) -> Condition:
        """What the model takes for no condition, in the place of this one."""
        ...


class ClassifierFree:
    """D(none) + w (D(c) - D(none)), for predictions D of x_0 with a condition c and without.

    w = 0 is the unconditional model, w = 1 the conditional one; beyond, samples show the condition more clearly than
    the data do. Ho & Salimans 2022 (arXiv 2207.12598, eq. 6, whose w is ours less one).
    """

    def __init__(self, model: DropsCondition, weight: float) -> None:
        self.model, self.weight = model, weight
        self.schedule, self.limit = model.schedule, model.limit

    def predict_x0(self, x: torch.Tensor, t: torch.Tensor, condition: Condition = None) -> torch.Tensor:
        """See `PredictsX0`."""
        conditions = condition, self.model.null_condition(condition)
        with_it, without = (self.model.predict_x0(x, t, c) for c in conditions)
        return (without + self.weight * (with_it - without)).clamp(-self.limit, self.limit)


class RegressorGuided:
    """x_0^ - w (sigma^2 / alpha) grad_x E(x_0^(x), t, c): the score of the data less w times the gradient of an energy.

    Dhariwal & Nichol 2021 (eq. 14) with E = -log p(c | x_t); Bao et al. 2022 (EEGSDE) with the square error of a
    regressor; x_0^ = (x + sigma^2 score) / alpha (Tweedie). The energy sees the prediction x_0^, and t, since
    p(c | x_t) is the broader the less x_t says of x_0. The gradient is taken through the model. At pure noise, where
    the gradient is zero but for errors of the model and so is alpha, nothing is guided.
    """

    def __init__(self, model: PredictsX0, energy: Energy, weight: float) -> None:
        self.model, self.energy, self.weight = model, energy, weight
        self.schedule, self.limit = model.schedule, model.limit

    def predict_x0(self, x: torch.Tensor, t: torch.Tensor, condition: Condition = None) -> torch.Tensor:
        """See `PredictsX0`; without a gradient of its own."""
        with torch.enable_grad():  # samplers run without
            x = x.detach().requires_grad_()
            x0 = self.model.predict_x0(x, t, condition)
            (gradient,) = torch.autograd.grad(self.energy(x0, t, condition).sum(), x)
        level = NoiseLevel.at(self.schedule, t, x.dim())
        scale = torch.where(level.alpha > MIN_ALPHA, self.weight * level.sigma**2 / level.alpha, 0)
        return (x0.detach() - scale * gradient).clamp(-self.limit, self.limit)
