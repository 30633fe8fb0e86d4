"""Messages along the bonds of atom graphs and the edges of motif trees: LSTM cells on directed edges.

The message from i to j of Jin et al. 2020 (appendix), with the child-sum form of tree LSTMs (Tai et al. 2015): its
gates read node i, the edge, and the sum of the hidden states that reach i from elsewhere; its memory is the sum of
theirs, each under a forget gate of its own that reads i. A message is handed on as [hidden state, memory behind that
gate], 2 H numbers: then all that a node passes on is a sum over edges, and leaving out the receiver is a subtraction.
"""

import torch
from torch import nn

from latent3d.systems.ldm3dg.topology.batches import MAX_SITE, AtomGraph, TreeBatch

BOND_KINDS = 5
MAX_ORDER = 20  # later children share the last class


class MessageLSTM(nn.Module):
    """The cell: what a node sends, what of it arrives, and what a node is after all has arrived."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.node = nn.Linear(features, 4 * hidden)
        self.sums = nn.Linear(hidden, 3 * hidden, bias=False)
        self.keep = nn.Linear(hidden, hidden, bias=False)
        self.out = nn.Linear(features + hidden, hidden)

    def gates(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Nodes [N, F] -> their parts of the gates: of messages they send [N, 3 H], of messages they get [N, H]."""
        return self.node(x).split([3 * self.hidden, self.hidden], 1)

    def send(self, gates: torch.Tensor, sums: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden state and memory [E, H] of messages: gates [E, 3 H], sums [E, 2 H] of those behind (None: none)."""
        if sums is None:
            i, o, u = gates.chunk(3, 1)
            memory = torch.sigmoid(i) * torch.tanh(u)
        else:
            h, kept = sums.chunk(2, 1)
            i, o, u = (gates + self.sums(h)).chunk(3, 1)
            memory = torch.sigmoid(i) * torch.tanh(u) + kept
        return torch.sigmoid(o) * torch.tanh(memory), memory

    def arrive(self, forget: torch.Tensor, h: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        """[E, 2 H], messages at nodes with forget gates [E, H]."""
        return torch.cat([h, torch.sigmoid(forget + self.keep(h)) * memory], 1)

    def read(self, x: torch.Tensor, sums: torch.Tensor) -> torch.Tensor:
        """[N, H], nodes [N, F] after messages that add up to [N, 2 H]."""
        return torch.relu(self.out(torch.cat([x, sums[:, : self.hidden]], 1)))


class GraphLSTM(nn.Module):
    """Vectors of atoms [A, H] after `depth` rounds of messages along all bonds.

    A round leaves out messages that it would not change, those with nothing but finished branches behind them.
    """

    def __init__(self, classes: tuple[int, ...], embed: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.depth = depth
        self.features = nn.ModuleList(nn.Embedding(count, embed) for count in classes)
        self.bond = nn.Embedding(BOND_KINDS, 3 * hidden)
        self.cell = MessageLSTM(embed, hidden)

    def forward(self, graph: AtomGraph, hidden: torch.Tensor | None = None) -> torch.Tensor:
        """Atoms with one class of each feature, see `AtomGraph`; those that are hidden [A] without."""
        x = torch.stack([table(column) for table, column in zip(self.features, graph.features.T, strict=True)]).sum(0)
        if hidden is not None:
            x = x.masked_fill(hidden[:, None], 0)
        gates, forget = self.cell.gates(x)
        gates = gates.index_select(0, graph.sources) + self.bond(graph.kinds)
        forget = forget.index_select(0, graph.targets)
        arrived = self.cell.arrive(forget, *self.cell.send(gates, None))
        for done in range(1, self.depth):
            n = graph.active[min(done, len(graph.active) - 1)]
            if n == 0:
                break
            if n < len(gates):  # not in every round: the gradient of a slice is as long as what it was cut from
                gates, forget = gates[:n], forget[:n]
            sums = _sum(arrived, graph.targets, len(x)).index_select(0, graph.sources[:n])
            behind = sums - arrived.index_select(0, graph.reverse[:n])
            changed = self.cell.arrive(forget, *self.cell.send(gates, behind))
            arrived = torch.cat([changed, arrived[n:]]) if n < len(arrived) else changed
        return self.cell.read(x, _sum(arrived, graph.targets, len(x)))


class TreeLSTM(nn.Module):
    """Messages along the edges of motif trees, once each: up from the leaves, then down from the roots.

    This is where the rounds of Jin et al. end once they are as many as edges between any two nodes. Edges tell which
    child of its parent a node is, and by which of the parent's atoms it is joined.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.cell = MessageLSTM(features, hidden)
        self.order = nn.Embedding(2 * MAX_ORDER, 3 * hidden)
        self.site = nn.Embedding(MAX_SITE, 3 * hidden)

    def edge(self, order: torch.Tensor, site: torch.Tensor, down: bool) -> torch.Tensor:
        """Gates [E, 3 H] of edges between a parent and its child `order`, joined at the parent's atom `site`."""
        order = order.clamp(max=MAX_ORDER - 1) + MAX_ORDER * down
        return self.order(order) + self.site(site.clamp(max=MAX_SITE - 1))

    def up(self, x: torch.Tensor, batch: TreeBatch, levels: int) -> torch.Tensor:
        """[N, 2 H] the message of each node to its parent, zero for roots and beyond the first `levels` levels."""
        gates, forget = self.cell.gates(x)
        gates = gates + self.edge(batch.order, batch.site, down=False)
        forget = forget.index_select(0, batch.parent)
        bounds = _bounds(batch.levels)
        found = [x.new_zeros(end - begin, 2 * self.cell.hidden) for begin, end in bounds]
        for depth in range(min(levels, len(bounds)) - 1, 0, -1):
            begin, end = bounds[depth]
            behind = None
            if depth + 1 < min(levels, len(bounds)):
                children = slice(*bounds[depth + 1])
                behind = _sum(found[depth + 1], batch.parent[children] - begin, end - begin)
            found[depth] = self.cell.arrive(forget[begin:end], *self.cell.send(gates[begin:end], behind))
        return torch.cat(found)

    def down(self, x: torch.Tensor, beside: torch.Tensor, batch: TreeBatch, levels: int) -> torch.Tensor:
        """[N, 2 H] the message to each node from its parent; `beside` [N, 2 H] is what else the parent passes on."""
        gates, forget = self.cell.gates(x)
        gates = gates.index_select(0, batch.parent) + self.edge(batch.order, batch.site, down=True)
        bounds = _bounds(batch.levels)
        found = [x.new_zeros(end - begin, 2 * self.cell.hidden) for begin, end in bounds]
        for depth in range(1, min(levels, len(bounds))):
            begin, end = bounds[depth]
            parents = batch.parent[begin:end] - bounds[depth - 1][0]
            behind = found[depth - 1].index_select(0, parents) + beside[begin:end]
            found[depth] = self.cell.arrive(forget[begin:end], *self.cell.send(gates[begin:end], behind))
        return torch.cat(found)


def children_sum(up: torch.Tensor, batch: TreeBatch) -> torch.Tensor:
    """[N, 2 H] the sum of the messages [N, 2 H] from the children of each node (a root sends nothing to itself)."""
    return _sum(up, batch.parent, len(up))


def earlier_sum(up: torch.Tensor, batch: TreeBatch) -> torch.Tensor:
    """[N, 2 H] the sum of the messages [N, 2 H] that earlier siblings of each node sent to their parent."""
    return _sum(up.index_select(0, batch.earlier), batch.later, len(up))


def _sum(values: torch.Tensor, index: torch.Tensor, size: int) -> torch.Tensor:
    return values.new_zeros(size, values.shape[1]).index_add(0, index, values)


def _bounds(levels: tuple[int, ...]) -> list[tuple[int, int]]:
    bounds, begin = [], 0
    for count in levels:
        bounds.append((begin, begin + count))
        begin += count
    return bounds
