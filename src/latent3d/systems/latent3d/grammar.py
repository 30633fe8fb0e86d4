"""A grammar of molecular graphs: every finished sequence of actions is a valid molecule.

A molecule is built atom by atom in canonical (depth-first) order. A focus atom moves with the work:

    NEW(order, type)    add an atom of `type`, bonded to the focus with `order`; it becomes the focus
    RING(order, k)      bond the focus to atom k (only directly after the focus was added)
    BACK(k)             move the focus to atom k, where the next NEW attaches
    END

An atom type is (element, formal charge, valence); what valence the bonds leave open is filled with hydrogens, so that
no sequence can make a radical, a broken valence or a second fragment. `Builder` masks the actions that are not allowed,
for a whole batch at once; END is masked while the formal charges do not cancel.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from latent3d.data.molecules.molecules import Molecule
from latent3d.graphs.molecular_graphs import Graph, with_hydrogens

PAD, END = 0, 1
FEATURES = 6  # of Builder.features
AtomType = tuple[int, int, int]


@dataclass(frozen=True)
class Grammar:
    """The actions for a set of atom types and a largest number of heavy atoms.

    Attributes:
        types: (atomic number, formal charge, valence) of each atom type.
        max_atoms: heavy atoms a molecule may have.
    """

    types: tuple[AtomType, ...]
    max_atoms: int

    @classmethod
    def of(cls, graphs: Iterable[Graph]) -> "Grammar":
        """The grammar that holds all the atom types and sizes that occur in `graphs`."""
        types: set[AtomType] = set()
        largest = 1
        for graph in graphs:
            n = graph.heavy
            largest = max(largest, n)
            types |= set(_types(graph))
        return cls(tuple(sorted(types)), largest)

    @property
    def size(self) -> int:
        """Number of actions, PAD and END included."""
        return 2 + 3 * len(self.types) + 4 * self.max_atoms

    @property
    def max_length(self) -> int:
        """Actions the longest molecule may take: per atom NEW and BACK, and the ring closures (2 n as a bound)."""
        return 4 * self.max_atoms + 1

    def new(self, order: int, kind: int) -> int:
        """Token of NEW. The first atom is NEW(1, type)."""
        return 2 + (order - 1) * len(self.types) + kind

    def ring(self, order: int, k: int) -> int:
        """Token of RING."""
        return 2 + 3 * len(self.types) + (order - 1) * self.max_atoms + k

    def back(self, k: int) -> int:
        """Token of BACK."""
        return 2 + 3 * len(self.types) + 3 * self.max_atoms + k

    def encode(self, graph: Graph) -> list[int]:
        """Tokens that build a graph in canonical order, END included; its types and size must be in the grammar."""
        kinds = [self.types.index(kind) for kind in _types(graph)]
        earlier: list[list[tuple[int, int]]] = [[] for _ in kinds]  # neighbours of each atom, with the bond's order
        for i, j, kind in graph.bonds.tolist():
            if j < len(kinds):
                earlier[j].append((i, kind & 3))
        tokens = [self.new(1, kinds[0])]
        for i in range(1, len(kinds)):
            # In a depth-first order the parent is the latest of the earlier neighbours; the others close rings.
            *others, (parent, order) = earlier[i]
            if parent != i - 1:
                tokens.append(self.back(parent))
            tokens.append(self.new(order, kinds[i]))
            tokens += [self.ring(order, k) for k, order in others]
        return [*tokens, END]


def _types(graph: Graph) -> list[AtomType]:
    n = graph.heavy
    return list(zip(graph.numbers[:n].tolist(), graph.charges[:n].tolist(), graph.valences[:n].tolist(), strict=True))


class Builder:
    """B molecules under construction: the grammar's state machine on tensors.

    `mask()` gives the actions allowed next, `step(tokens)` carries one out. `features()` describes the state for a
    network: it is a function of the actions so far, hence no leak.
    """

    def __init__(self, grammar: Grammar, count: int, device: str | torch.device = "cpu") -> None:
        self.grammar = grammar
        n, kinds = grammar.max_atoms, len(grammar.types)
        integer = {"dtype": torch.long, "device": device}
        self.valence_of = torch.tensor([t[2] for t in grammar.types], **integer)
        self.charge_of = torch.tensor([t[1] for t in grammar.types], **integer)
        self.kinds = torch.zeros(count, n, **integer)
        self.open = torch.zeros(count, n, **integer)  # valence left of each atom
        self.orders = torch.zeros(count, n, n, **integer)
        self.atoms = torch.zeros(count, **integer)
        self.focus = torch.zeros(count, **integer)
        self.charge = torch.zeros(count, **integer)
        self.done = torch.zeros(count, dtype=torch.bool, device=device)
        self.last = torch.zeros(count, **integer)  # 0 start, 1 NEW or RING, 2 BACK
        # What each token means: action (0 PAD, 1 END, 2 NEW, 3 RING, 4 BACK), bond order, and type or atom.
        action, order, argument = [0, 1], [0, 0], [0, 0]
        for b in (1, 2, 3):
            action += [2] * kinds
            order += [b] * kinds
            argument += range(kinds)
        for b in (1, 2, 3):
            action += [3] * n
            order += [b] * n
            argument += range(n)
        self.action = torch.tensor(action + [4] * n, **integer)
        self.order = torch.tensor(order + [0] * n, **integer)
        self.argument = torch.tensor([*argument, *range(n)], **integer)

    def mask(self) -> torch.Tensor:
        """[B, size] bool, the actions allowed next; PAD alone where the molecule is finished."""
        grammar, count = self.grammar, len(self.done)
        n, kinds = grammar.max_atoms, len(grammar.types)
        rows = torch.arange(count, device=self.done.device)
        b = torch.arange(1, 4, device=self.done.device)
        open_here = self.open[rows, self.focus]
        room = self.atoms < n
        started = self.last > 0
        allowed = torch.zeros(count, grammar.size, dtype=torch.bool, device=self.done.device)

        # NEW: open valence on both sides, and charges that the atoms still to come can cancel.
        fits = (b[:, None] <= self.valence_of)[None] & (b[None] <= open_here[:, None])[:, :, None]
        first = torch.zeros(3, kinds, dtype=torch.bool, device=fits.device)
        first[0] = True
        fits = torch.where(started[:, None, None], fits, first[None])
        charge = (self.charge[:, None] + self.charge_of).abs()
        fits &= (room[:, None] & (charge <= (n - self.atoms - 1)[:, None]))[:, None, :]
        # Each unit of charge is cancelled by a later atom, which needs an open valence to attach to.
        open_total = self.open.sum(1)[:, None, None] + self.valence_of - 2 * b[None, :, None] * started[:, None, None]
        fits &= open_total >= charge[:, None, :]
        allowed[:, 2 : 2 + 3 * kinds] = fits.flatten(1)

        # RING: only right after the focus was added, to an atom that is not yet its neighbour.
        exists = torch.arange(n, device=fits.device)[None] < self.atoms[:, None]
        free = (
            exists & (self.orders[rows, self.focus] == 0) & (torch.arange(n, device=fits.device) != self.focus[:, None])
        )
        limit = torch.minimum(self.open, open_here[:, None]) * free
        rings = (b[None, :, None] <= limit[:, None]) & (self.last == 1)[:, None, None]
        rings &= (self.open.sum(1)[:, None] - 2 * b >= self.charge.abs()[:, None])[:, :, None]
        allowed[:, 2 + 3 * kinds : 2 + 3 * kinds + 3 * n] = rings.flatten(1)

        elsewhere = exists & (self.open > 0) & (torch.arange(n, device=fits.device) != self.focus[:, None])
        allowed[:, -n:] = elsewhere & (room & (self.last == 1))[:, None]
        allowed[:, END] = (self.charge == 0) & (self.last == 1)
        # Nothing else left (no room or no open valence while charged): stop; scoring counts the charge as a failure.
        allowed[:, END] |= ~allowed.any(1)
        allowed[self.done] = False
        allowed[self.done, PAD] = True
        return allowed

    def step(self, tokens: torch.Tensor) -> None:
        """Carry out one action per molecule. tokens: [B]; PAD does nothing."""
        action, order, argument = self.action[tokens], self.order[tokens], self.argument[tokens]
        rows = torch.arange(len(tokens), device=tokens.device)

        new = rows[action == 2]
        at, kind = self.atoms[new], argument[new]
        bond = torch.where(self.last[new] > 0, order[new], torch.zeros_like(at))
        parent = self.focus[new]
        self.kinds[new, at] = kind
        self.open[new, at] = self.valence_of[kind] - bond
        self.open[new, parent] -= torch.where(self.last[new] > 0, bond, torch.zeros_like(bond))
        self.orders[new, at, parent] = bond
        self.orders[new, parent, at] = bond
        self.charge[new] += self.charge_of[kind]
        self.focus[new] = at
        self.atoms[new] += 1

        ring = rows[action == 3]
        at, k, bond = self.focus[ring], argument[ring], order[ring]
        self.orders[ring, at, k] = bond
        self.orders[ring, k, at] = bond
        self.open[ring, at] -= bond
        self.open[ring, k] -= bond

        back = action == 4
        self.focus = torch.where(back, argument, self.focus)
        self.last = torch.where(back, 2, torch.where((action == 2) | (action == 3), 1, self.last))
        self.done = self.done | (action == 1)

    def features(self) -> torch.Tensor:
        """[B, 6] int64 description of the state: focus, its type, its open valence, last action, atoms, open others."""
        rows = torch.arange(len(self.done), device=self.done.device)
        kind = torch.where(self.atoms > 0, self.kinds[rows, self.focus] + 1, 0)
        others = ((self.open > 0).sum(1) - (self.open[rows, self.focus] > 0).long()).clamp(min=0)
        return torch.stack([self.focus, kind, self.open[rows, self.focus], self.last, self.atoms, others], 1)

    def molecules(self) -> list[Molecule]:
        """The graphs built so far with their hydrogens; positions are NaN (a graph has none)."""
        types = np.array(self.grammar.types)
        kinds, opens, orders, atoms = (t.cpu().numpy() for t in (self.kinds, self.open, self.orders, self.atoms))
        return [
            with_hydrogens(types[k[:n]], o[:n], m[:n, :n])
            for k, o, m, n in zip(kinds, opens, orders, atoms, strict=True)
        ]
