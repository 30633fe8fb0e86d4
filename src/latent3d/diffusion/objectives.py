"""What a denoiser predicts, and how x0 and eps follow from it.

With x_t = alpha x_0 + sigma eps, alpha^2 = alpha_bar, sigma^2 = 1 - alpha_bar (Ho et al. 2020; v = alpha eps -
sigma x_0 from Salimans & Ho 2022). Shapes: x [B, D], alpha and sigma [B, 1].
"""

from dataclasses import dataclass

import torch
from torch import nn

from latent3d.diffusion.schedules import SCHEDULES

OBJECTIVES = ("eps", "x0", "v")
LIMIT = 8.0  # of a predicted x_0, for standardised data
_MIN = 1e-4  # smallest alpha that predictions are divided by


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
    return (x - sigma * output) / alpha.clamp(min=_MIN)


@dataclass(frozen=True)
class NoiseLevel:
    """alpha and sigma at time t: [B, 1] each."""

    alpha: torch.Tensor
    sigma: torch.Tensor

    @classmethod
    def at(cls, schedule: str, t: torch.Tensor) -> "NoiseLevel":
        """Noise level of the named schedule at times t [B]."""
        alpha_bar = SCHEDULES[schedule](t)[:, None]
        return cls(alpha_bar.clamp(min=0).sqrt(), (1 - alpha_bar).clamp(min=0).sqrt())


class Denoiser(nn.Module):
    """Wraps any network f(x [B, D], t [B]) -> [B, D] with an objective and a schedule."""

    def __init__(self, network: nn.Module, objective: str, schedule: str) -> None:
        super().__init__()
        if objective not in OBJECTIVES or schedule not in SCHEDULES:
            raise ValueError(f"objective {objective!r} is not one of {OBJECTIVES} or schedule {schedule!r} unknown")
        self.network, self.objective, self.schedule = network, objective, schedule

    def predict_x0(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """E[x_0 | x_t = x], as the network sees it, clipped to LIMIT.

        Where alpha is nearly zero, an objective of eps divides the network's error by it; data of unit variance lies
        within the limit.
        """
        level = NoiseLevel.at(self.schedule, t)
        return to_x0(self.objective, self.network(x, t), x, level.alpha, level.sigma).clamp(-LIMIT, LIMIT)

    def loss(self, x0: torch.Tensor, t: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
        """Mean square error of the objective's target at times t [B]."""
        level = NoiseLevel.at(self.schedule, t)
        output = self.network(level.alpha * x0 + level.sigma * eps, t)
        return ((output - target(self.objective, x0, eps, level.alpha, level.sigma)) ** 2).mean()
