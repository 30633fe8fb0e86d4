"""Layers over atoms, edges and molecules together that never build the concatenated input."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

Part = tuple[torch.Tensor, torch.Tensor | None]
"""Features [n, D], and the row of them that each line of the output takes ([lines]; None for its own)."""


class JointLinear(nn.Linear):
    """Linear layer of the concatenation [x_1[i_1], x_2[i_2], ...]: each part is multiplied before it is spread.

    An edge layer then costs a product over atoms and one over edges, instead of one over edges with all inputs.
    """

    def __init__(self, widths: Sequence[int], out: int) -> None:
        super().__init__(sum(widths), out)
        self.widths = list(widths)

    def forward(self, parts: Sequence[Part]) -> torch.Tensor:
        """[lines, out]."""
        total: torch.Tensor | float = 0
        for place, ((x, rows), weight) in enumerate(zip(parts, self.weight.split(self.widths, 1), strict=True)):
            y = F.linear(x, weight, None if place else self.bias)
            total = total + (y if rows is None else y[rows])
        return total


class MLP(nn.Module):
    """Two hidden layers with batch norm, ReLU and dropout over a joint input, and a linear one."""

    def __init__(self, widths: Sequence[int], hidden: int, out: int, drop: float) -> None:
        super().__init__()
        self.into = JointLinear(widths, hidden)
        self.layers = nn.Sequential(
            *(nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(drop)),
            *(nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(drop)),
            nn.Linear(hidden, out),
        )

    def forward(self, *parts: Part) -> torch.Tensor:
        """[lines, out]."""
        return self.layers(self.into(parts))


class DropRows(nn.Module):
    """In training, sets whole rows (the update of an edge or an atom) to zero with a probability."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, D]; the kept rows are scaled up."""
        return x * F.dropout(x.new_ones(len(x), 1), self.p, self.training)
