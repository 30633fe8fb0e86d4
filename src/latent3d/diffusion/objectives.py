"""What a denoiser predicts, and how x0 and eps follow from it.

With x_t = alpha x_0 + sigma eps, alpha^2 = alpha_bar, sigma^2 = 1 - alpha_bar (Ho et al. 2020; v = alpha eps -
sigma x_0 from Salimans & Ho 2022). Shapes: x [B, ...], alpha and sigma [B, 1, ...].
"""

from dataclasses import dataclass

import torch
from torch import nn

from latent3d.diffusion.model import Condition
from latent3d.diffusion.schedules import SCHEDULES

OBJECTIVES = ("eps", "x0", "v")
MIN_ALPHA = 1e-4  # smallest alpha that predictions are divided by


def target(
    objective: str, x0: torch.Tensor, eps: torch.Tensor, alpha: torch.Tensor, sigma: torch.Tensor
) -> torch.Tensor:
    """What the network is trained to output."""
    return {"eps": eps, "x0": x0, "v": alpha * eps - sigma * x0}[objective]


def to_x0(
    objective: str, output: torch.Tensor, x: torch.Tensor, alpha: torch.Tensor, sigma: torch.Tensor
) -> torch.Tensor:
    """The x_0 that a network output implies at x_t = x."""
    if objective == "x0":
        return output
    if objective == "v":
        return alpha * x - sigma * output
    return (x - sigma * output) / alpha.clamp(min=MIN_ALPHA)


@dataclass(frozen=True)
class NoiseLevel:
    """alpha and sigma at time t: [B, 1, ...] each."""

    alpha: torch.Tensor
    sigma: torch.Tensor

    @classmethod
    def at(cls, schedule: str, t: torch.Tensor, dimensions: int = 2) -> "NoiseLevel":
        """Noise level of the named schedule at times t [B], for data with so many dimensions."""
        alpha_bar = SCHEDULES[schedule](t).reshape(-1, *[1] * (dimensions - 1))
        return cls(alpha_bar.clamp(min=0).sqrt(), (1 - alpha_bar).clamp(min=0).sqrt())


class Denoiser(nn.Module):
    """Wraps any network f(x [B, ...], t [B], condition) -> [B, ...] with an objective and a schedule.

    `limit` clips predictions of x_0. Where alpha is nearly zero, an objective of eps divides the network's error by it;
    standardised data lie within 8.
    """

    def __init__(self, network: nn.Module, objective: str, schedule: str, limit: float = float("inf")) -> None:
        super().__init__()
        if objective not in OBJECTIVES or schedule not in SCHEDULES:
            raise ValueError(f"objective {objective!r} is not one of {OBJECTIVES} or schedule {schedule!r} unknown")
        self.network, self.objective, self.schedule, self.limit = network, objective, schedule, limit

    def predict_x0(self, x: torch.Tensor, t: torch.Tensor, condition: Condition = None) -> torch.Tensor:
        """See `PredictsX0`."""
        level = NoiseLevel.at(self.schedule, t, x.dim())
        output = self.network(x, t, condition)
        return to_x0(self.objective, output, x, level.alpha, level.sigma).clamp(-self.limit, self.limit)

    def null_condition(self, condition: Condition) -> Condition:
        """What the network takes for no condition, in the place of this one; of networks that can do without."""
        return self.network.null_condition(condition)

    def square_error(
        self, x0: torch.Tensor, t: torch.Tensor, eps: torch.Tensor, condition: Condition = None
    ) -> torch.Tensor:
        """[B, ...] square error of the objective's target at times t [B]."""
        level = NoiseLevel.at(self.schedule, t, x0.dim())
        output = self.network(level.alpha * x0 + level.sigma * eps, t, condition)
        return (output - target(self.objective, x0, eps, level.alpha, level.sigma)) ** 2
