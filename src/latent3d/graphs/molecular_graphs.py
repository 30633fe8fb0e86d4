"""Molecules in canonical order: what autoencoders of graphs and conformers see.

Atom order is part of the model: heavy atoms stand in the order of the canonical SMILES, hydrogens follow grouped by the
heavy atom that bears them. Hydrogens of one heavy atom are told apart by the conformer itself (`order_hydrogens`), so
that a label never means two things. Encoder, decoder and grammar share this order. It is a function of the graph, so
z_2d does not depend on the order of atoms in a file; z_3d may, where heavy atoms are symmetric in the graph and not in
the conformer.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from rdkit import Chem, rdBase

from latent3d.data.molecules.molecules import Molecule
from latent3d.data.molecules.rdkit import sanitised

RING_SIZES = (3, 4, 5, 6, 7)
ATOM_COLUMNS = 5 + len(RING_SIZES)
AROMATIC, CONJUGATED = 4, 8
"""Added to the order of a bond, they make its kind (16 kinds in all)."""

Array = TypeVar("Array", np.ndarray, torch.Tensor)


class AtomColumns(Generic[Array]):
    """What is known of atoms, by name: the columns of `atoms` [..., ATOM_COLUMNS] of one molecule or of a batch."""

    atoms: Array

    @property
    def numbers(self) -> Array:
        """Atomic numbers."""
        return self.atoms[..., 0]

    @property
    def charges(self) -> Array:
        """Formal charges."""
        return self.atoms[..., 1]

    @property
    def valences(self) -> Array:
        """Sums of Kekule bond orders, hydrogens included."""
        return self.atoms[..., 2]

    @property
    def parents(self) -> Array:
        """The heavy neighbour of a hydrogen, own index for heavy atoms."""
        return self.atoms[..., 3]

    @property
    def ordinals(self) -> Array:
        """Position of a hydrogen among its siblings (1, 2, 3, 4), 0 for heavy atoms."""
        return self.atoms[..., 4]

    @property
    def rings(self) -> Array:
        """[..., 5] 1 where the atom is in a ring of 3, 4, 5, 6, 7 atoms."""
        return self.atoms[..., 5:]


@dataclass(frozen=True)
class Graph(AtomColumns[np.ndarray]):
    """One molecular graph in canonical order (N atoms, n of them heavy, first; E bonds).

    Attributes:
        atoms: [N, ATOM_COLUMNS] int16.
        bonds: [E, 3] int16 (i, j, kind), i < j, sorted. A kind is a Kekule order, plus AROMATIC and CONJUGATED where
            RDKit perceives that.
        source: [N] int16, index of each atom in the molecule it was made from.
    """

    atoms: np.ndarray
    bonds: np.ndarray
    source: np.ndarray

    def __len__(self) -> int:
        return len(self.atoms)

    @property
    def heavy(self) -> int:
        """Number of heavy atoms; they come first."""
        return int((self.ordinals == 0).sum())

    @property
    def orders(self) -> np.ndarray:
        """[N, N] uint8, Kekule bond orders, 0 where not bonded."""
        return self._matrix(self.bonds[:, 2] & 3)

    @property
    def aromatic(self) -> np.ndarray:
        """[N, N] uint8, 1 where RDKit perceives an aromatic bond."""
        return self._matrix((self.bonds[:, 2] & AROMATIC) > 0)

    def _matrix(self, values: np.ndarray) -> np.ndarray:
        matrix = np.zeros((len(self), len(self)), np.uint8)
        i, j = self.bonds[:, :2].T
        matrix[i, j] = matrix[j, i] = values
        return matrix

    def to_molecule(self, positions: np.ndarray) -> Molecule:
        """The graph with positions [N, 3] as a molecule of the data contract."""
        return Molecule(
            self.numbers.astype(np.uint8),
            positions.astype(np.float32),
            self.bonds[:, :2],
            (self.bonds[:, 2] & 3).astype(np.uint8),
            self.charges.astype(np.int8),
        )


def canonical_graph(molecule: Molecule) -> Graph | None:
    """The graph of a molecule in canonical order; None if RDKit refuses it, for fragments, or for H2 and the like."""
    if molecule.bonds is None or len(molecule) == 0:
        return None
    with rdBase.BlockLogs():
        mol = sanitised(molecule)
    if mol is None or len(Chem.GetMolFrags(mol)) > 1:
        return None
    is_heavy = molecule.atomic_numbers > 1
    heavy_source = np.flatnonzero(is_heavy)
    degree = np.bincount(molecule.bonds.ravel(), minlength=len(molecule))
    if len(heavy_source) == 0 or (degree[~is_heavy] != 1).any():
        return None
    bearer = np.full(len(molecule), -1)
    for i, j in molecule.bonds.tolist():
        if is_heavy[i] != is_heavy[j]:
            bearer[j if is_heavy[i] else i] = i if is_heavy[i] else j
    if (bearer[~is_heavy] < 0).any():
        return None
    skeleton = Chem.RWMol(mol)
    skeleton.BeginBatchEdit()
    for hydrogen in np.flatnonzero(~is_heavy).tolist():
        skeleton.RemoveAtom(hydrogen)
        atom = skeleton.GetAtomWithIdx(int(bearer[hydrogen]))
        atom.SetNumExplicitHs(atom.GetNumExplicitHs() + 1)
    skeleton.CommitBatchEdit()
    Chem.MolToSmiles(skeleton, isomericSmiles=False)
    order = list(skeleton.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])
    heavy_order = heavy_source[order]
    hydrogens = [np.flatnonzero(bearer == atom) for atom in heavy_order]
    source = np.concatenate([heavy_order, *hydrogens]).astype(np.int64)
    # Renumber before kekulising: which Kekule form RDKit picks depends on the atom order alone.
    mol = Chem.RenumberAtoms(mol, source.tolist())
    return _features(mol, len(heavy_order), [len(h) for h in hydrogens], source)


def _features(mol: Chem.Mol, heavy: int, hydrogens: list[int], source: np.ndarray) -> Graph:
    perceived = [AROMATIC * bond.GetIsAromatic() + CONJUGATED * bond.GetIsConjugated() for bond in mol.GetBonds()]
    rings = np.zeros((mol.GetNumAtoms(), len(RING_SIZES)), np.int16)
    for ring in mol.GetRingInfo().AtomRings():
        if len(ring) in RING_SIZES:
            rings[list(ring), RING_SIZES.index(len(ring))] = 1
    Chem.Kekulize(mol, clearAromaticFlags=True)
    bonds = []
    for more, bond in zip(perceived, mol.GetBonds(), strict=True):
        i, j = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
        bonds.append((i, j, int(bond.GetBondTypeAsDouble()) + more))
    bonds = np.array(sorted(bonds), np.int16).reshape(-1, 3)
    columns = [
        [atom.GetAtomicNum() for atom in mol.GetAtoms()],
        [atom.GetFormalCharge() for atom in mol.GetAtoms()],
        np.bincount(bonds[:, :2].ravel(), np.repeat(bonds[:, 2] & 3, 2), minlength=len(rings)),
        np.concatenate([np.arange(heavy), np.repeat(np.arange(heavy), hydrogens)]),
        np.concatenate([np.zeros(heavy, int), *[np.arange(1, count + 1) for count in hydrogens]]),
    ]
    return Graph(np.column_stack([*columns, rings]).astype(np.int16), bonds, source.astype(np.int16))


def order_hydrogens(graph: Graph, positions: np.ndarray) -> np.ndarray:
    """Index order [N] that gives the hydrogens of each heavy atom labels fixed by the conformer.

    Seen along an axis through the bearing atom, siblings are numbered in right-handed order; the first is the one
    most nearly opposite (anti) to a reference atom. Both are functions of the geometry that a proper rotation does
    not change and a reflection does.

    Args:
        graph: graph in canonical order.
        positions: [N, 3] angstrom, in the order of `graph`.
    """
    order, orders, n = np.arange(len(graph)), graph.orders, graph.heavy
    borne = np.bincount(graph.parents[n:], minlength=n)
    for parent, siblings in enumerate(np.split(order[n:].copy(), np.cumsum(borne)[:-1])):
        if len(siblings) < 2:
            continue
        heavy = np.flatnonzero(orders[parent, :n])
        if len(heavy) == 0:
            # CH4, NH3, H2O: only the handedness of the labels is left to fix.
            v = positions[siblings] - positions[parent]
            if len(siblings) > 2 and np.linalg.det(v[:3]) < 0:
                order[siblings[[1, 2]]] = siblings[[2, 1]]
            continue
        axis = positions[heavy[0]] - positions[parent]
        if len(heavy) > 1:
            reference = positions[heavy[1]] - positions[parent]
        else:
            beyond = np.setdiff1d(np.flatnonzero(orders[heavy[0]]), [parent, *siblings])
            if len(beyond) == 0:
                continue
            reference = positions[beyond[0]] - positions[heavy[0]]
        angles = _angles_about(axis, reference, positions[siblings] - positions[parent])
        first = np.argmax(-np.cos(angles))
        rank = np.argsort((angles - angles[first]) % (2 * np.pi), kind="stable")
        if len(siblings) == 2 and abs(np.diff(np.cos(angles))[0]) < 0.5:
            # Neither is clearly anti (CH2 in a chain, a symmetric NH2): handedness alone decides.
            rank = rank if (angles[rank[1]] - angles[rank[0]]) % (2 * np.pi) <= np.pi else rank[::-1]
        order[siblings] = siblings[rank]
    return order


def _angles_about(axis: np.ndarray, reference: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Right-handed angles of `vectors` about `axis`, from `reference`, in radians."""
    axis = axis / (np.linalg.norm(axis) + 1e-9)
    x = reference - axis * (reference @ axis)
    return np.arctan2(vectors @ np.cross(axis, x), vectors @ x)


def with_hydrogens(types: np.ndarray, hydrogens: np.ndarray, orders: np.ndarray) -> Molecule:
    """A molecule of n heavy atoms, which come first, and its hydrogens; positions are NaN.

    types [n, 3]: atomic number, formal charge, valence; hydrogens [n]: how many each bears; orders [n, n]: Kekule.
    """
    heavy = len(types)
    i, j = np.nonzero(np.triu(orders))
    bearers = np.repeat(np.arange(heavy), hydrogens)
    size = heavy + len(bearers)
    return Molecule(
        np.concatenate([types[:, 0], np.ones(len(bearers))]).astype(np.uint8),
        np.full((size, 3), np.nan, np.float32),
        np.concatenate([np.stack([i, j], 1), np.stack([bearers, np.arange(heavy, size)], 1)]).astype(np.int16),
        np.concatenate([orders[i, j], np.ones(len(bearers))]).astype(np.uint8),
        np.concatenate([types[:, 1], np.zeros(len(bearers))]).astype(np.int8),
    )
