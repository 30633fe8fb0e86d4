"""Codes of fixed size made of one slot per heavy atom, in canonical order.

A code [B, heavy * k] holds k numbers for each place in the canonical order of heavy atoms; places that a molecule does
not have are zero. Both autoencoders use it, so z_2d and z_3d of an atom have the same place.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from latent3d.graphs.graph_batches import GraphBatch
from latent3d.nets.gaussian import GaussianCode, draw, kl_divergence
from latent3d.nets.self_supervision import SelfSupervision, View


class SlotCode(nn.Module):
    """Node features [B, N, D] to a Gaussian over codes [B, heavy * k]."""

    def __init__(self, width: int, heavy: int, atom_latent: int) -> None:
        super().__init__()
        self.heavy, self.atom_latent = heavy, atom_latent
        self.code = GaussianCode(width, width, atom_latent)

    @property
    def latent(self) -> int:
        """Length of the code."""
        return self.heavy * self.atom_latent

    def forward(self, h: torch.Tensor, graphs: GraphBatch) -> "SlotPosterior":
        """The posterior of the molecules' codes; heavy atoms come first in `h`."""
        slots = min(self.heavy, h.shape[1])
        present = (graphs.mask & (graphs.ordinals == 0))[:, :slots]
        mean, log_variance = self.code(h[:, :slots])
        pad = (0, 0, 0, self.heavy - slots)
        return SlotPosterior(F.pad(mean, pad), F.pad(log_variance, pad), F.pad(present, (0, self.heavy - slots)))

    def unpack(self, z: torch.Tensor) -> torch.Tensor:
        """Code [B, heavy * k] to slots [B, heavy, k]."""
        return z.unflatten(1, (self.heavy, self.atom_latent))


class SlotPosterior:
    """Mean and log variance [B, heavy, k] of the slots that are present [B, heavy]."""

    def __init__(self, mean: torch.Tensor, log_variance: torch.Tensor, present: torch.Tensor) -> None:
        self.gaussian, self.present = (mean, log_variance), present[..., None]

    def mean(self) -> torch.Tensor:
        """[B, heavy * k], the code of a molecule."""
        return torch.where(self.present, self.gaussian[0], 0).flatten(1)

    def draw(self, generator: torch.Generator) -> torch.Tensor:
        """[B, heavy * k], a sample; empty slots stay zero."""
        return torch.where(self.present, draw(*self.gaussian, generator), 0).flatten(1)

    def kl(self) -> torch.Tensor:
        """Divergence from the standard normal, nats per molecule; empty slots do not count."""
        mean, log_variance = (torch.where(self.present, part, 0) for part in self.gaussian)
        return kl_divergence(mean.flatten(1), log_variance.flatten(1))


def with_self_supervision(
    term: SelfSupervision,
    losses: dict[str, torch.Tensor],
    code: SlotCode,
    graphs: GraphBatch,
    states: torch.Tensor,
    encode: Callable[[GraphBatch, torch.Tensor], torch.Tensor],
    generator: torch.Generator,
) -> dict[str, torch.Tensor]:
    """`losses` with a self-supervised term on the codes and the states [B, N, D] of atoms.

    `encode` gives the states of the graphs with hidden atoms [B, N].
    """
    if term.method == "none":
        return losses
    mask = graphs.mask
    batch = torch.arange(len(mask), device=mask.device)[:, None].expand(mask.shape)[mask]

    def view(states: torch.Tensor) -> View:
        return View(code(states, graphs).mean(), states[mask], batch)

    def hide(hidden: torch.Tensor) -> View:
        return view(encode(graphs, torch.zeros_like(mask).masked_scatter(mask, hidden)))

    return term(losses, view(states), hide, graphs.numbers[mask].long(), generator)
