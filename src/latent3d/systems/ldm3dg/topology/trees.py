"""Molecules in terms of a vocabulary of motifs, as flat arrays from which batches are made."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch

from latent3d.data.molecules.molecules import Molecules
from latent3d.data.records import gather
from latent3d.systems.ldm3dg.topology.assembly import replay
from latent3d.systems.ldm3dg.topology.batches import TreeBatch, both_ways, rounds_of, to_device, used_pairs
from latent3d.systems.ldm3dg.topology.motifs import AROMATIC, MotifTree, NotExpressible, Vocabulary, each_tree

_REPLAYED_AT_ONCE = 500  # molecules


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
            atoms=both_ways(atoms, shifted((bonds, first_bond), first_atom, 2)),
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
    width = vocabulary.tables.fits.shape[2]
    index, misses, sizes = [], {}, []
    atoms, bonds, motifs, members, siblings, choices, opens = ([] for _ in range(7))
    trees: list[MotifTree] = []
    pairs: list[np.ndarray] = []

    def replay_all() -> None:
        _, met, chosen = replay(vocabulary, trees, pairs)
        opens.extend(met)
        choices.extend(chosen)
        trees.clear()
        pairs.clear()

    for row, tree in enumerate(each_tree(molecules)):
        try:
            if isinstance(tree, NotExpressible):
                raise tree
            pairs.append(vocabulary.encode(tree))
        except NotExpressible as miss:
            misses[row] = str(miss)
            continue
        trees.append(tree)
        index.append(row)
        sizes.append(tree.graph.heavy)
        for found, columns in zip((atoms, bonds), _atoms(vocabulary, tree), strict=True):
            found.append(columns)
        for found, columns in zip((motifs, siblings), _motifs(tree, pairs[-1]), strict=True):
            found.append(columns)
        members.append(np.array([(node, atom) for node, lie in enumerate(tree.atoms) for atom in lie]))
        if len(trees) == _REPLAYED_AT_ONCE:
            replay_all()
    replay_all()
    open_sets, open_of = _distinct(np.concatenate([np.zeros((0, width), bool), *opens]))
    rows = Ragged(motifs, 5)
    rows.values = np.column_stack([rows.values, open_of.reshape(-1, 2)])
    return MotifTrees(
        vocabulary,
        np.array(index, int),
        misses,
        np.array(sizes, int),
        Ragged(atoms, 2),
        Ragged(bonds, 5),
        rows,
        Ragged(members, 2),
        Ragged(siblings, 2),
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
    bonds = np.column_stack([i, j, kinds, rounds_of(np.stack([i, j], 1))])
    return np.column_stack([types, graph.valences[:n] - orders.sum(1)]).astype(int), bonds


def _motifs(tree: MotifTree, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(pair, parent, depth, order, site) of each motif, and all pairs of siblings (earlier, later)."""
    depth, order, siblings = [0], [0], []
    children: list[list[int]] = [[] for _ in range(len(tree))]
    for node, parent in enumerate(tree.parents[1:], 1):
        depth.append(depth[parent] + 1)
        order.append(len(children[parent]))
        siblings += [(earlier, node) for earlier in children[parent]]
        children[parent].append(node)
    sites = np.maximum(tree.sites, 0)
    return np.column_stack([pairs, tree.parents, depth, order, sites]), np.array(siblings, int).reshape(-1, 2)


def _distinct(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of masks [X, R], and which of them each row is, [X]."""
    packed = np.ascontiguousarray(np.packbits(np.pad(masks, ((0, 0), (0, 1))), axis=1))
    _, first, which = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_index=True, return_inverse=True)
    return masks[first], which
