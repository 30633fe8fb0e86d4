"""Molecules put together motif by motif: the state that teacher forcing replays and decoding writes."""

import numpy as np

from latent3d.data.molecules.molecules import Molecule
from latent3d.graphs.molecular_graphs import with_hydrogens
from latent3d.systems.ldm3dg.topology.motifs import MAX_STEPS, ROOT, MotifTree, Vocabulary

MAX_MOTIFS = MAX_STEPS // 2 + 1


class Assembly:
    """B molecules under construction, each a valid molecule at any time. Work goes on at the current motif of each.

    Attributes:
        current: [B] the current motif; ROOT where the molecule is finished.
        parents, pairs: [B, n] parent and vocabulary pair of each motif.
        children: [B, n] number of children of each motif so far.
    """

    def __init__(self, vocabulary: Vocabulary, roots: np.ndarray) -> None:
        """Begin each molecule with a pair of the vocabulary that may be a root, [B]."""
        self.vocabulary, self.tables = vocabulary, vocabulary.tables
        count, width = len(roots), self.tables.types_of.shape[1]
        self.types = np.zeros((count, MAX_MOTIFS * width), np.int16)
        self.free = np.zeros_like(self.types)
        self.sizes = np.zeros(count, int)  # atoms so far
        self.atoms = np.full((count, MAX_MOTIFS, width), -1, np.int32)  # of each motif, in its order
        self.parents, self.pairs = (np.full((count, MAX_MOTIFS), ROOT) for _ in range(2))
        self.children = np.zeros((count, MAX_MOTIFS), int)
        self.motifs = np.ones(count, int)  # motifs so far
        self.current = np.zeros(count, int)
        self._place(np.arange(count), self.current, roots, np.zeros((count, width), bool))

    def open_atoms(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the current motifs offer a child: type and free valence of their atoms, [R, K] each.

        The type is -1 where the motif has no atom, and for its attachment: what joins there is a child of its parent.
        """
        at = self.current[rows]
        atoms = self.atoms[rows, at]
        types, free = self.types[rows[:, None], atoms], self.free[rows[:, None], atoms]
        attachment = self.tables.attachment_of_pair[self.pairs[rows, at]]
        offered = (atoms >= 0) & (np.arange(atoms.shape[1]) != attachment[:, None])
        return np.where(offered, types, -1), free

    def requirements(self, rows: np.ndarray) -> np.ndarray:
        """[R, requirements] bool, those that an atom of the current motif meets."""
        types, free = self.open_atoms(rows)
        return (self.tables.fits[types, free] & (types >= 0)[..., None]).any(1)

    def sites(self, rows: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """[R, K] bool, the atoms of the current motifs that a pair [R] may join."""
        types, free = self.open_atoms(rows)
        return self.tables.fits[types, free, self.tables.requirement[pairs][:, None]] & (types >= 0)

    def add(self, rows: np.ndarray, pairs: np.ndarray, sites: np.ndarray) -> None:
        """Join a pair to an atom of the current motif, which `sites` must allow, and go there. pairs, sites: [R]."""
        tables, parent, node = self.tables, self.current[rows], self.motifs[rows]
        atom, attachment = self.atoms[rows, parent, sites], tables.attachment_of_pair[pairs]
        self.parents[rows, node] = parent
        self.children[rows, parent] += 1
        self.motifs[rows] += 1
        self.current[rows] = node
        shared = np.arange(self.atoms.shape[2]) == attachment[:, None]
        self.atoms[rows, node, attachment] = atom
        self._place(rows, node, pairs, shared)
        kind = self.types[rows, atom]
        taken = tables.valences[kind] - tables.free_of[tables.motif_of_pair[pairs], attachment]
        self.free[rows, atom] -= taken.astype(np.int16)

    def back(self, rows: np.ndarray) -> None:
        """Go back to the parent; from the root: finish."""
        self.current[rows] = self.parents[rows, self.current[rows]]

    def molecules(self) -> list[Molecule]:
        """The molecules so far with their hydrogens; positions are NaN (a graph has none)."""
        tables, kinds = self.tables, np.array(self.vocabulary.types)
        made = []
        for row, size in enumerate(self.sizes):
            orders = np.zeros((size, size), int)
            for node in range(self.motifs[row]):
                motif = tables.motif_of_pair[self.pairs[row, node]]
                i, j, order, _ = tables.bonds[tables.first_bond[motif] : tables.first_bond[motif + 1]].T
                i, j = self.atoms[row, node, i], self.atoms[row, node, j]
                orders[i, j] = orders[j, i] = order
            made.append(with_hydrogens(kinds[self.types[row, :size]], self.free[row, :size], orders))
        return made

    def _place(self, rows: np.ndarray, nodes: np.ndarray, pairs: np.ndarray, shared: np.ndarray) -> None:
        """Add the atoms of pairs but those `shared` [R, K], which are there already."""
        motifs = self.tables.motif_of_pair[pairs]
        types = self.tables.types_of[motifs]
        new = (types >= 0) & ~shared
        atoms = self.sizes[rows, None] + new.cumsum(1) - 1
        row, place = np.nonzero(new)
        self.types[rows[row], atoms[new]] = types[new]
        self.free[rows[row], atoms[new]] = self.tables.free_of[motifs][new]
        self.atoms[rows[row], nodes[row], place] = atoms[new]
        self.pairs[rows, nodes] = pairs
        self.sizes[rows] += new.sum(1)


def replay(
    vocabulary: Vocabulary, trees: list[MotifTree], pairs: list[np.ndarray]
) -> tuple[Assembly, list[np.ndarray], list[np.ndarray]]:
    """Assemble molecules as decoding would, from their trees and their pairs [n].

    Returns:
        The finished assembly; for each molecule the requirements met before each motif was chosen and after the work on
        it, as rows [2 n, requirements]; and its choices between several atoms, rows [., 4]: motif, atom of the parent
        motif, free valence of that atom, whether it was chosen.
    """
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
