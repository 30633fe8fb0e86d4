"""The geometric decoder of LDM-3DG: graph, code, and (as released) coordinates to coordinates.

Three stacks of message passing after "Direct molecular conformation generation" (Zhu et al. 2022, DMCG), each over
states of atoms, edges and the whole molecule:

    prior      the graph and the code alone, from random positions, to states and a first guess of the positions;
    posterior  reads given positions; what it says of the molecule is added to the states;
    decoder    from there to the final positions.

With `branch="posterior"` (as released) all three work on the pairs within 5 angstrom of the given positions, and on
edge features made of their distances. With `branch="prior"` there is no posterior, the edges are the bonds, and no
coordinate of any kind comes in.
"""

import torch
import torch.nn.functional as F
from torch import nn

from latent3d.systems.ldm3dg.geometry.graphs import KINDS, MAX_CHARGE, MAX_NUMBER, EdgeBatch, Edges, segment_mean
from latent3d.systems.ldm3dg.geometry.joint import MLP, DropRows, JointLinear
from latent3d.systems.ldm3dg.settings import Geometry

DISTANCE_FEATURES = 16


class Attention(nn.Module):
    """What an atom receives: sum_j a_ij W_v [h_j, e_ij], a = softmax_j a^T LeakyReLU(W_q h_i + W_k [h_j, e_ij])."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.value = JointLinear([width] * 3, width), JointLinear([width, width], width)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, h: torch.Tensor, e: torch.Tensor, edges: Edges) -> torch.Tensor:
        """h [A, D], e [E, D] -> [A, D]."""
        sent = (h, edges.senders), (e, None)
        logits = self.score(F.leaky_relu(self.query([(h, edges.receivers), *sent]), 0.2)).float()
        index = edges.receivers[:, None]
        # exp of at most 0, since softmax does not change with a constant per atom.
        largest = logits.new_full((len(h), 1), -torch.inf).scatter_reduce(0, index, logits.detach(), "amax")
        weights = (logits - largest[edges.receivers]).exp()
        total = weights.new_zeros(len(h), 1).index_add(0, edges.receivers, weights)
        values = self.value(sent) * (weights / total[edges.receivers]).to(h.dtype)
        return values.new_zeros(h.shape).index_add(0, edges.receivers, values)


class Round(nn.Module):
    """One round of message passing: edges, then atoms, then (unless it is the last of its stack) the molecule."""

    def __init__(self, width: int, drop: float, last: bool) -> None:
        super().__init__()
        self.edge, self.atom = (MLP([width] * 4, width, width, drop) for _ in range(2))
        self.attention = Attention(width)
        self.molecule = None if last else MLP([width] * 3, width, width, drop)
        self.drop = DropRows(drop)

    def forward(
        self, h: torch.Tensor, e: torch.Tensor, u: torch.Tensor, edges: Edges, batch: EdgeBatch
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """States of atoms [A, D], edges [E, D] and molecules [B, D] -> the same."""
        of_edge = batch.batch[edges.senders]
        e = e + self.drop(self.edge((e, None), (h, edges.senders), (h, edges.receivers), (u, of_edge)))
        received, sent = self.attention(h, e, edges), segment_mean(e, edges.senders, len(h))
        h = h + self.drop(self.atom((h, None), (received, None), (sent, None), (u, batch.batch)))
        if self.molecule is not None:
            u = u + self.molecule((u, None), (batch.mean(h), None), (segment_mean(e, of_edge, len(batch)), None))
        return h, e, u


class Stack(nn.Module):
    """Rounds that see positions, and with `moves` also change them by residual steps."""

    def __init__(self, width: int, rounds: int, drop: float, moves: bool, keeps_molecule: bool) -> None:
        super().__init__()
        self.position, self.distance = MLP([3], width, width, drop), MLP([1], width, width, drop)
        self.rounds = nn.ModuleList(
            Round(width, drop, last=number == rounds - 1 and not keeps_molecule) for number in range(rounds)
        )
        self.move = MLP([width], width, 3, drop) if moves else None

    def forward(
        self,
        h: torch.Tensor,
        e: torch.Tensor,
        u: torch.Tensor,
        x: torch.Tensor,
        edges: Edges,
        batch: EdgeBatch,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """States as in `Round`, positions x [A, 3] -> the same."""
        for one in self.rounds:
            square = (x[edges.senders] - x[edges.receivers]).square().sum(-1, keepdim=True)
            h, e = h + self.position((x, None)), e + self.distance(((square + 1e-12).sqrt(), None))
            h, e, u = one(h, e, u, edges, batch)
            if self.move is not None:
                x = batch.centred(x + self.move((h, None)).to(x.dtype))
        return h, e, u, x


class GeometricDecoder(nn.Module):
    """Positions of a batch's atoms from its graphs, codes [B, code], and random positions to start from."""

    def __init__(self, settings: Geometry) -> None:
        super().__init__()
        width, rounds, drop = settings.width, settings.rounds, settings.drop
        self.number, self.charge = nn.Embedding(MAX_NUMBER, width), nn.Embedding(2 * MAX_CHARGE + 1, width)
        self.bond = nn.Embedding(KINDS, width)
        self.code = nn.Linear(settings.code, width)
        self.prior = Stack(width, rounds, drop, moves=True, keeps_molecule=True)
        self.decoder = Stack(width, rounds, drop, moves=True, keeps_molecule=False)
        self.posterior = None
        if settings.branch == "posterior":
            self.posterior = Stack(width, rounds, drop, moves=False, keeps_molecule=False)
            self.latent = nn.Linear(width, width)
            self.features = nn.Linear(DISTANCE_FEATURES, width)

    def forward(self, batch: EdgeBatch, z: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        """[A, 3], angstrom, centred. start [A, 3] is random; `batch.positions` is read by the posterior alone."""
        edges = batch.bonds if self.posterior is None else batch.near
        h, e, u = self.number(batch.numbers - 1) + self.charge(batch.charges), self.bond(edges.kinds), self.code(z)
        if self.posterior is not None:
            e = e + self.features(distance_features(batch.positions, edges).to(e.dtype))
        first = h, e, u
        h, e, u, x = self.prior(*first, batch.centred(start), edges, batch)
        if self.posterior is not None:
            read = self.posterior(*first, batch.positions, edges, batch)[0]
            h = h + self.latent(batch.mean(read))[batch.batch]
        return self.decoder(h, e, u, x, edges, batch)[3]


def distance_features(positions: torch.Tensor, edges: Edges) -> torch.Tensor:
    """[E, 16] exp(-d) linspace(1, 5, 16), as released: one number per edge, sixteen times."""
    d = (positions[edges.senders] - positions[edges.receivers]).norm(dim=-1, keepdim=True)
    return torch.exp(-d) * torch.linspace(1, 5, DISTANCE_FEATURES, device=d.device, dtype=d.dtype)


def random_start(atoms: int, generator: torch.Generator) -> torch.Tensor:
    """[atoms, 3] uniform in (-1, 1)^3, on the CPU."""
    return 2 * torch.rand(atoms, 3, generator=generator) - 1
