"""Trees of motifs as flat arrays, and batches of them as tensors: atoms, bonds, motifs, and the choices of decoding."""

from collections import Counter
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import torch

from latent3d.molecules.molecules import Molecules, gather
from latent3d.systems.ldm3dg.motif_assembly import Assembly
from latent3d.systems.ldm3dg.motifs import AROMATIC, Miss, MotifTree, Tables, Vocabulary, each_tree

_REPLAYED_AT_ONCE = 500  # molecules


@dataclass(frozen=True)
class AtomGraph:
    """Atoms of many molecules (or motifs), and both directions of their bonds.

    Attributes:
        features: [A, F] int64.
        sources, targets, kinds: [E] int64; `reverse` [E] is the other direction of the same bond.
        active: number of directions whose messages are not final before each round: those that come first.
    """

    features: torch.Tensor
    sources: torch.Tensor
    targets: torch.Tensor
    kinds: torch.Tensor
    reverse: torch.Tensor
    active: tuple[int, ...]


@dataclass(frozen=True)
class UsedPairs:
    """U distinct pairs of the vocabulary.

    Attributes:
        pair, motif: [U].
        atoms: features are type, free valence, whether it is the attachment, and place in the motif.
        owner: [.] which pair each atom belongs to.
        first: [U] where the atoms of each pair begin.
    """

    pair: torch.Tensor
    motif: torch.Tensor
    atoms: AtomGraph
    owner: torch.Tensor
    first: torch.Tensor


@dataclass(frozen=True)
class TreeBatch:
    """B molecules as tensors. The N motifs of all stand level by level: those of depth d follow those of depth d - 1.

    Attributes:
        atoms: features are type and number of hydrogens.
        molecule_of_atom: [A].
        levels: number of motifs of each depth; the first level is the B roots, in the order of the molecules.
        molecule, pair, motif, parent: [N] of each motif; the parent of a root is itself.
        order, site: [N] which child of its parent it is, and by which of the parent's atoms it is joined.
        member_motif, member_atom: [C] which atoms of the molecules each motif consists of.
        earlier, later: [S] all pairs of siblings.
        open_sets: [U, requirements] bool: what the atoms open at a decision can meet.
        open_before: [N] the open set when the motif was chosen (of roots: no meaning).
        open_after: [N] the open set when the work on the motif ended.
        used: the distinct pairs in the batch.
        used_of: [N] the pair of each motif, as a place in `used`.
        choice: [Q] motifs that several atoms of the parent could have been joined to.
        candidates: [Q, K] those atoms, places in `used.atoms`; candidate_free: their free valence; candidate_mask.
        chosen: [Q] which candidate it was.
    """

    atoms: AtomGraph
    molecule_of_atom: torch.Tensor
    levels: tuple[int, ...]
    molecule: torch.Tensor
    pair: torch.Tensor
    motif: torch.Tensor
    parent: torch.Tensor
    order: torch.Tensor
    site: torch.Tensor
    member_motif: torch.Tensor
    member_atom: torch.Tensor
    earlier: torch.Tensor
    later: torch.Tensor
    open_sets: torch.Tensor
    open_before: torch.Tensor
    open_after: torch.Tensor
    used: "UsedPairs"
    used_of: torch.Tensor
    choice: torch.Tensor
    candidates: torch.Tensor
    candidate_free: torch.Tensor
    candidate_mask: torch.Tensor
    chosen: torch.Tensor

    def __len__(self) -> int:
        return self.levels[0]


Batch = TypeVar("Batch", TreeBatch, UsedPairs, AtomGraph)


def to_device(batch: Batch, device: str | torch.device) -> Batch:
    """The same on another device."""
    moved = {}
    for name in (field.name for field in fields(batch)):
        value = getattr(batch, name)
        if isinstance(value, AtomGraph | UsedPairs):
            value = to_device(value, device)
        elif isinstance(value, torch.Tensor):
            value = value.to(device, non_blocking=True)
        moved[name] = value
    return type(batch)(**moved)


CYCLIC = 1_000
"""Rounds of messages for a direction behind which there is a ring: they never end."""


def rounds_of(bonds: np.ndarray) -> np.ndarray:
    """After how many rounds the messages along bonds [B, 2] are final: forward and backward, [B, 2]."""
    sources, targets = np.concatenate([bonds, bonds[:, ::-1]]).T
    into = (targets[None] == sources[:, None]) & (sources[None] != targets[:, None])
    rounds = np.full(len(sources), CYCLIC)
    for count in range(1, CYCLIC):
        final = (rounds == CYCLIC) & ~(into & (rounds == CYCLIC)).any(1)
        if not final.any():
            break
        rounds[final] = count
    return rounds.reshape(2, -1).T


def _both_ways(features: np.ndarray, bonds: np.ndarray) -> AtomGraph:
    """features [A, F], bonds [B, 5] (i, j, kind, rounds forward, rounds backward)."""
    half = len(bonds)
    rounds = np.concatenate([bonds[:, 3], bonds[:, 4]])
    order = np.argsort(-rounds, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(2 * half)
    columns = [*np.concatenate([bonds[:, :3], bonds[:, [1, 0, 2]]])[order].T, place[(order + half) % (2 * half or 1)]]
    last = rounds[rounds < CYCLIC].max(initial=0)
    active = tuple(int((rounds >= count).sum()) for count in range(1, last + 2))
    tensors = (torch.from_numpy(np.ascontiguousarray(column)) for column in columns)
    return AtomGraph(torch.from_numpy(features), *tensors, active)


def used_pairs(tables: Tables, pairs: np.ndarray) -> UsedPairs:
    """The distinct pairs [U] of the vocabulary with their atoms."""
    motifs = tables.motif_of_pair[pairs]
    atoms, first = gather(tables.first_atom, motifs)
    bonds, first_bond = gather(tables.first_bond, motifs)
    owner = np.repeat(np.arange(len(pairs)), np.diff(first))
    place = np.arange(len(atoms)) - first[owner]
    attached = place == tables.attachment_of_pair[pairs][owner]
    features = np.stack([tables.atom_type[atoms], tables.atom_free[atoms], attached, place], 1)
    rows = tables.bonds[bonds]
    bonds_of = np.diff(first_bond)
    ends = rows[:, :2] + np.repeat(first[:-1], bonds_of)[:, None]
    rounds = np.repeat(np.where(bonds_of == 1, 1, CYCLIC), bonds_of)  # a bond, or a ring system
    graph = _both_ways(features, np.column_stack([ends, rows[:, 3], rounds, rounds]))
    pair, motif, owner, first = (torch.from_numpy(array) for array in (pairs, motifs, owner, first[:-1]))
    return UsedPairs(pair, motif, graph, owner, first)


class Ragged:
    """Rows of integers [., F] owned by molecules, those of each in one piece."""

    def __init__(self, parts: list[np.ndarray], width: int) -> None:
        self.offsets = np.cumsum([0] + [len(part) for part in parts])
        self.values = np.concatenate([np.zeros((0, width), np.int64), *parts])

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values of the molecules `rows`, and where those of each begin in the result, [R + 1]."""
        places, offsets = gather(self.offsets, rows)
        return self.values[places], offsets


@dataclass(frozen=True)
class MotifTrees:
    """M molecules in terms of a vocabulary.

    Attributes:
        index: [M] rows of the molecules they came from; the others could not be expressed.
        misses: the reason of each of the others, by its row.
        sizes: [M] number of heavy atoms.
        atoms: (type, hydrogens); bonds: (i, j, kind, rounds forward and backward), see `rounds_of`.
        motifs: (pair, parent, depth, order, site, open set before, open set after).
        members: (motif, atom); siblings: (earlier, later).
        choices: (motif, atom of the parent motif, its free valence, chosen); motifs with one candidate are left out.
        open_sets: [S, requirements] bool.
    """

    vocabulary: Vocabulary
    index: np.ndarray
    misses: dict[int, str]
    sizes: np.ndarray
    atoms: Ragged
    bonds: Ragged
    motifs: Ragged
    members: Ragged
    siblings: Ragged
    choices: Ragged
    open_sets: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    @property
    def miss_counts(self) -> dict[str, int]:
        """Number of molecules that could not be expressed, by reason."""
        return dict(Counter(self.misses.values()))

    def select(self, rows: torch.Tensor | np.ndarray, device: str | torch.device = "cpu") -> TreeBatch:
        """The molecules at `rows` (of 0..M - 1) as a batch on a device; nothing is read back from the device."""
        rows, tables = np.asarray(rows), self.vocabulary.tables
        atoms, first_atom = self.atoms.take(rows)
        bonds, first_bond = self.bonds.take(rows)
        motifs, first = self.motifs.take(rows)
        pair, parent, depth, order, site, before, after = motifs.T
        owner = np.repeat(np.arange(len(rows)), np.diff(first))
        by_level = np.argsort(depth, kind="stable")
        place = np.empty_like(by_level)
        place[by_level] = np.arange(len(by_level))
        parent = place[np.where(parent < 0, np.arange(len(parent)), parent + first[:-1][owner])]

        def shifted(found: tuple[np.ndarray, np.ndarray], by: np.ndarray, columns: int) -> np.ndarray:
            values, offsets = found
            values = values.copy()
            values[:, :columns] += np.repeat(by[:-1], np.diff(offsets))[:, None]
            return values

        members = shifted(self.members.take(rows), first, 1)
        members[:, 1] += first_atom[:-1][owner[members[:, 0]]]
        siblings = shifted(self.siblings.take(rows), first, 2)
        distinct, used_of = np.unique(pair[by_level], return_inverse=True)
        used = used_pairs(tables, distinct)
        sets, set_of = np.unique(np.concatenate([before, after]), return_inverse=True)
        before, after = set_of.reshape(2, -1)
        candidates = _candidates(shifted(self.choices.take(rows), first, 1), place, parent, used.first.numpy()[used_of])
        tensors = {
            "molecule_of_atom": np.repeat(np.arange(len(rows)), np.diff(first_atom)),
            "molecule": owner[by_level],
            "pair": pair[by_level],
            "motif": tables.motif_of_pair[pair[by_level]],
            "parent": parent[by_level],
            "order": order[by_level],
            "site": site[by_level],
            "member_motif": place[members[:, 0]],
            "member_atom": members[:, 1],
            "earlier": place[siblings[:, 0]],
            "later": place[siblings[:, 1]],
            "open_sets": self.open_sets[sets],
            "open_before": before[by_level],
            "open_after": after[by_level],
            "used_of": used_of,
            **candidates,
        }
        batch = TreeBatch(
            atoms=_both_ways(atoms, shifted((bonds, first_bond), first_atom, 2)),
            levels=tuple(np.bincount(depth).tolist()),
            used=used,
            **{name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in tensors.items()},
        )
        return to_device(batch, device)


def _candidates(
    choices: np.ndarray, place: np.ndarray, parent: np.ndarray, first_used: np.ndarray
) -> dict[str, np.ndarray]:
    """Choices [., 4] padded to [Q, K]. `parent` [N] before sorting by level, `first_used` [N] after it."""
    motif, atom, free, chosen = choices.T
    begins = np.flatnonzero(np.diff(motif, prepend=-1))
    counts = np.diff(np.append(begins, len(motif)))
    mask = np.arange(counts.max(initial=1)) < counts[:, None]
    candidates, candidate_free = np.zeros(mask.shape, np.int64), np.zeros(mask.shape, np.int64)
    candidates[mask] = first_used[parent[motif]] + atom
    candidate_free[mask] = free
    return {
        "choice": place[motif[begins]],
        "candidates": candidates,
        "candidate_free": candidate_free,
        "candidate_mask": mask,
        "chosen": np.flatnonzero(chosen) - begins,
    }


def read_trees(vocabulary: Vocabulary, molecules: Molecules) -> MotifTrees:
    """Molecules in terms of a vocabulary, with every choice that decoding has to make."""
    trees: list[MotifTree] = []
    pairs: list[np.ndarray] = []
    index, misses = [], {}
    for row, tree in enumerate(each_tree(molecules)):
        try:
            if isinstance(tree, Miss):
                raise tree
            pairs.append(vocabulary.encode(tree))
            trees.append(tree)
            index.append(row)
        except Miss as miss:
            misses[row] = str(miss)
    atoms, bonds = zip(*(_atoms(vocabulary, tree) for tree in trees), strict=True) if trees else ([], [])
    motifs, siblings = zip(*(_motifs(tree) for tree in trees), strict=True) if trees else ([], [])
    members = [np.array([(node, a) for node, lie in enumerate(tree.atoms) for a in lie]) for tree in trees]
    opens, choices = _replay_all(vocabulary, trees, pairs)
    open_sets, open_of = _distinct(np.concatenate([np.zeros((0, vocabulary.tables.fits.shape[2]), bool), *opens]))
    open_of = np.split(open_of.reshape(-1, 2), np.cumsum([len(tree) for tree in trees])[:-1]) if trees else []
    columns = [np.column_stack(parts) for parts in zip(pairs, motifs, open_of, strict=True)]
    return MotifTrees(
        vocabulary,
        np.array(index, int),
        misses,
        np.array([tree.graph.heavy for tree in trees], int),
        Ragged(list(atoms), 2),
        Ragged(list(bonds), 5),
        Ragged(columns, 7),
        Ragged(members, 2),
        Ragged(list(siblings), 2),
        Ragged(choices, 4),
        open_sets,
    )


def _atoms(vocabulary: Vocabulary, tree: MotifTree) -> tuple[np.ndarray, np.ndarray]:
    """Atoms (type, hydrogens) and bonds (i, j, kind, rounds forward and backward) of a molecule."""
    graph, n = tree.graph, tree.graph.heavy
    orders, aromatic = graph.orders[:n, :n].astype(int), graph.aromatic[:n, :n]
    labels = zip(graph.numbers[:n].tolist(), graph.charges[:n].tolist(), graph.valences[:n].tolist(), strict=True)
    types = [vocabulary.places["types"][label] for label in labels]
    i, j = np.nonzero(np.triu(orders))
    kinds = np.where(aromatic[i, j], AROMATIC, orders[i, j])
    return np.stack([types, graph.valences[:n] - orders.sum(1)], 1).astype(int), np.column_stack(
        [i, j, kinds, rounds_of(np.stack([i, j], 1))]
    )


def _motifs(tree: MotifTree) -> tuple[np.ndarray, np.ndarray]:
    """(parent, depth, order, site) of each motif, and all pairs of siblings (earlier, later)."""
    depth, order, siblings = [0], [0], []
    children: list[list[int]] = [[] for _ in range(len(tree))]
    for node, parent in enumerate(tree.parents[1:], 1):
        depth.append(depth[parent] + 1)
        order.append(len(children[parent]))
        siblings += [(earlier, node) for earlier in children[parent]]
        children[parent].append(node)
    sites = np.maximum(tree.sites, 0)
    return np.stack([tree.parents, depth, order, sites], 1), np.array(siblings, int).reshape(-1, 2)


def _replay_all(
    vocabulary: Vocabulary, trees: list[MotifTree], pairs: list[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Per molecule: requirements met before and after each motif [n, 2, R] as rows [2 n, R], and choices [., 4]."""
    opens, choices = [], []
    for begin in range(0, len(trees), _REPLAYED_AT_ONCE):
        part = slice(begin, begin + _REPLAYED_AT_ONCE)
        found = replay(vocabulary, trees[part], pairs[part])
        opens += found[1]
        choices += found[2]
    return opens, choices


def replay(
    vocabulary: Vocabulary, trees: list[MotifTree], pairs: list[np.ndarray]
) -> tuple[Assembly, list[np.ndarray], list[np.ndarray]]:
    """Assemble molecules from their trees as decoding would; the finished assembly, open sets and choices of each."""
    assembly = Assembly(vocabulary, np.array([pair[0] for pair in pairs], int))
    actions = [_actions(tree) for tree in trees]
    opens = [np.zeros((len(tree), 2, vocabulary.tables.fits.shape[2]), bool) for tree in trees]
    choices: list[list[tuple[int, int, int, bool]]] = [[] for _ in trees]
    for step in range(max(map(len, actions), default=0)):
        rows = np.array([row for row, action in enumerate(actions) if step < len(action)])
        node = np.array([actions[row][step] for row in rows])
        current = assembly.current[rows]
        for row, at, to, met in zip(rows, current, node, assembly.requirements(rows), strict=True):
            opens[row][(to, 0) if to else (at, 1)] = met
        assembly.back(rows[node == 0])
        rows, node = rows[node > 0], node[node > 0]
        if not len(rows):
            continue
        pair = np.array([pairs[row][to] for row, to in zip(rows, node, strict=True)])
        site = np.array([trees[row].sites[to] for row, to in zip(rows, node, strict=True)])
        allowed, free = assembly.sites(rows, pair), assembly.open_atoms(rows)[1]
        for k in np.flatnonzero(allowed.sum(1) > 1):
            choices[rows[k]] += [(node[k], a, free[k, a], a == site[k]) for a in np.flatnonzero(allowed[k])]
        assembly.add(rows, pair, site)
    flat = [np.array(choice, int).reshape(-1, 4) for choice in choices]
    return assembly, [masks.reshape(2 * len(masks), masks.shape[2]) for masks in opens], flat


def _actions(tree: MotifTree) -> list[int]:
    """What is done step by step: a motif is added, or (0) one goes back to the parent."""
    actions, current = [], 0
    for node, parent in enumerate(tree.parents[1:], 1):
        while current != parent:
            actions.append(0)
            current = tree.parents[current]
        actions.append(node)
        current = node
    while current >= 0:
        actions.append(0)
        current = tree.parents[current]
    return actions


def _distinct(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of masks [X, R], and which of them each row is, [X]."""
    packed = np.ascontiguousarray(np.packbits(np.pad(masks, ((0, 0), (0, 1))), axis=1))
    _, first, which = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_index=True, return_inverse=True)
    return masks[first], which
