"""A linear layer over all pairs of atoms that never builds the concatenated input."""

import torch
import torch.nn.functional as F
from torch import nn

from latent3d.nets.precision import full_precision


class PairLinear(nn.Linear):
    """Linear layer of [h_i, h_j, e_ij] for all pairs (i, j) of N atoms.

    W [h_i, h_j, e_ij] + b = W_1 h_i + W_2 h_j + W_3 e_ij + b: two products over N atoms and one with the K pair
    features stand for one over N^2 pairs with 2D + K inputs. It has the parameters of the plain layer. The sum is made
    in the precision of the pair features, whatever autocast says: distances rounded to bf16 are off by hundredths.
    """

    def __init__(self, width: int, pair_features: int, out: int) -> None:
        super().__init__(2 * width + pair_features, out)
        self.width = width

    def forward(self, h: torch.Tensor, pairs: torch.Tensor | None) -> torch.Tensor:
        """h [B, N, D], pairs [B, N, N, K] (None for K = 0) -> [B, N, N, out]."""
        of_i, of_j, of_pair = self.weight.split([self.width, self.width, self.in_features - 2 * self.width], 1)
        rows, columns = F.linear(h, of_i, self.bias)[:, :, None], F.linear(h, of_j)[:, None]
        if pairs is None:
            return rows + columns
        with full_precision(pairs):
            return rows.to(pairs.dtype) + columns.to(pairs.dtype) + F.linear(pairs, of_pair)
