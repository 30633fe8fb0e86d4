"""How latents change when molecules are turned."""

import torch
from torch import nn

from latent3d.graphs.conformers import Conformers, encode_conformers


def relative_change(z: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
    """[M] |changed - z| / |z| of latents [M, ...]."""
    return (changed - z).flatten(1).norm(dim=1) / z.flatten(1).norm(dim=1)


def encode_turned(model: nn.Module, conformers: Conformers, turn: torch.Tensor) -> torch.Tensor:
    """`encode_conformers` of conformers turned by an orthogonal matrix [3, 3].

    A mirror image has its hydrogens labelled anew: a label means the same in both.
    """
    improper = bool(torch.det(turn) < 0)
    positions = conformers.mirrored.values @ -turn.T if improper else conformers.positions.values @ turn.T
    return encode_conformers(model, conformers, positions=positions)
