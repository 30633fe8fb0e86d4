"""Self-supervised regularisation of autoencoders: a further term of the loss, on what the encoder makes.

`global_local` is LDM-3DG's (You et al. 2024); `two_view` is that of GraphCL (You et al. 2020, projection head and
temperature of its experiments on molecules), with views in which the attributes of some atoms are hidden;
`masked_attributes` that of Hu et al. 2020: to say what the hidden atoms are.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from latent3d.nets.precision import full_precision
from latent3d.nets.settings import SelfSupervised

DROPPED = 0.2
"""Share of the atoms that are left out of a local view, or whose attributes a view hides."""
MASKED = 0.15
"""Share of the atoms whose attributes are to be predicted."""
TEMPERATURE = 0.1


@dataclass(frozen=True)
class View:
    """What an encoder makes of B molecules: `codes` [B, D], states `nodes` [A, W] of their atoms, `batch` [A]."""

    codes: torch.Tensor
    nodes: torch.Tensor
    batch: torch.Tensor


class SelfSupervision(nn.Module):
    """Adds the term of a method to a loss; of `none`, nothing.

    Args:
        settings: the method, and the weight of the term.
        code, width: of codes and of the states of atoms.
        classes: of atoms.
    """

    def __init__(self, settings: SelfSupervised, code: int, width: int, classes: int) -> None:
        super().__init__()
        method = settings.self_supervision
        self.method, self.weight = method, settings.self_supervision_weight
        if method == "global_local":
            self.local = nn.Identity() if code == width else nn.Linear(width, code)
        elif method == "two_view":
            self.project = nn.Sequential(nn.Linear(code, code), nn.ReLU(), nn.Linear(code, code))
        elif method == "masked_attributes":
            self.predict = nn.Linear(width, classes)

    def forward(
        self,
        losses: dict[str, torch.Tensor],
        view: View,
        hide: Callable[[torch.Tensor], View],
        classes: torch.Tensor,
        generator: torch.Generator,
    ) -> dict[str, torch.Tensor]:
        """`losses` with the part `self_supervision`, and with it in `loss`.

        Args:
            losses: of the autoencoder.
            view: of the molecules as they are.
            hide: encodes them with the attributes of some atoms hidden, which are True in [A].
            classes: [A] of the atoms.
            generator: on the CPU.
        """
        if self.method == "none":
            return losses
        if self.method == "global_local":
            term = global_local_loss(view.codes, self.local(view.nodes), view.batch, generator)
        elif self.method == "two_view":
            first, second = (self.project(hide(_some(classes, DROPPED, generator)).codes) for _ in range(2))
            term = two_view_loss(first, second)
        else:
            hidden = _some(classes, MASKED, generator)
            term = masked_loss(self.predict(hide(hidden).nodes), classes, hidden)
        return {**losses, "loss": losses["loss"] + self.weight * term, "self_supervision": term}


def global_local_loss(
    codes: torch.Tensor, nodes: torch.Tensor, batch: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """-mean_i log(exp s_ii / sum_{j != i} exp s_ij): cosines s_ij of code i and the mean of random nodes of graph j.

    InfoNCE in one direction at temperature 1, the positive pair not in the denominator, as LDM-3DG has it: it can be
    negative, and is least where codes agree with their own nodes and with no others'.

    Args:
        codes: [B, D], B > 1.
        nodes: [A, D] vectors of the nodes of all graphs.
        batch: [A] the graph of each node.
        generator: on the CPU; every node is left out with probability DROPPED.
    """
    kept = ~_some(batch, DROPPED, generator)
    # A sum instead of the mean: cosines do not see lengths.
    local = torch.zeros_like(codes).index_add(0, batch, (nodes * kept[:, None]).to(codes.dtype))
    return _contrast(codes, local)


def two_view_loss(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The same of the codes [B, D] of two views of each graph, at TEMPERATURE (the loss of GraphCL)."""
    return _contrast(first, second, TEMPERATURE)


def masked_loss(logits: torch.Tensor, classes: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy, nats, of the classes [A] of hidden atoms [A] with logits [A, classes]."""
    error = F.cross_entropy(logits.float(), classes, reduction="none")
    return (error * hidden).sum() / hidden.sum().clamp(min=1)


def _contrast(a: torch.Tensor, b: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    if len(a) < 2:  # nothing to differ from
        return 0 * (a.sum() + b.sum())
    with full_precision(a):
        cosines = F.normalize(a.float(), dim=1) @ F.normalize(b.float(), dim=1).T / temperature
    own = torch.eye(len(a), dtype=torch.bool, device=a.device)
    return (cosines.masked_fill(own, -torch.inf).logsumexp(1) - cosines.diagonal()).mean()


def _some(like: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """[A] bool, each True with a probability, on the device of a tensor [A]."""
    return (torch.rand(len(like), generator=generator) < share).to(like.device)
