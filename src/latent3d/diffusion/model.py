"""What samplers and guidance know of a model: its noise schedule, and what it says of x_0."""

from typing import Any, Protocol

import torch

Condition = Any
"""What a model is told beside x and t, in the model's own form: None for nothing, a tensor [B, C] for vectors, a
`PointCondition` for point clouds. Samplers and guidance hand it on and never look into it."""


class PredictsX0(Protocol):
    """A model of x_0 given x_t = alpha x_0 + sigma eps: a `Denoiser`, or one that is guided (guidance.py).

    Attributes:
        schedule: name of the noise schedule (schedules.py).
        limit: predictions lie within [-limit, limit]; infinite for no limit.
    """

    schedule: str
    limit: float

    def predict_x0(self, x: torch.Tensor, t: torch.Tensor, condition: Condition = None) -> torch.Tensor:
        """E[x_0 | x_t = x, condition] [B, ...], of states x [B, ...] at times t [B] in [0, 1]."""
        ...
