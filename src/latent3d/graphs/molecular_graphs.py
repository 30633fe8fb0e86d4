"""Molecules in canonical order, as padded arrays: what both autoencoders see.

Atom order is part of the model: heavy atoms stand in the order of the canonical SMILES, hydrogens follow grouped by the
heavy atom that bears them. Hydrogens of one heavy atom are told apart by the conformer itself (`order_hydrogens`), so
that a label never means two things. Encoder, decoder and grammar share this order. It is a function of the graph, so
z_2d does not depend on the order of atoms in a file; z_3d may, where heavy atoms are symmetric in the graph and not in
the conformer.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import torch
from rdkit import Chem, rdBase

from latent3d.base.errors import UserError
from latent3d.data.molecules.molecules import Molecule, Molecules
from latent3d.data.molecules.rdkit import sanitised

MAX_PATH = 7  # bonds; longer shortest paths share one class
RING_SIZES = (3, 4, 5, 6, 7)
CHARGE_SHIFT = 8  # of charges in a batch, where integers have no sign


@dataclass(frozen=True)
class Graph:
    """One molecular graph in canonical order (N atoms, n of them heavy, first).

    Attributes:
        numbers: [N] atomic numbers.
        charges: [N] formal charges.
        valences: [N] sum of Kekule bond orders, hydrogens included.
        orders: [N, N] Kekule bond orders, 0 where not bonded.
        aromatic: [N, N] 1 where RDKit perceives an aromatic bond.
        conjugated: [N, N] 1 where RDKit perceives a conjugated bond.
        paths: [N, N] shortest path in bonds, at most MAX_PATH.
        rings: [N, 5] 1 where the atom is in a ring of 3, 4, 5, 6, 7 atoms.
        parents: [N] the heavy neighbour of a hydrogen, own index for heavy atoms.
        ordinals: [N] position of a hydrogen among its siblings (1, 2, 3, 4), 0 for heavy atoms.
        source: [N] index of each atom in the molecule it was made from.
    """

    numbers: np.ndarray
    charges: np.ndarray
    valences: np.ndarray
    orders: np.ndarray
    aromatic: np.ndarray
    conjugated: np.ndarray
    paths: np.ndarray
    rings: np.ndarray
    parents: np.ndarray
    ordinals: np.ndarray
    source: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def heavy(self) -> int:
        """Number of heavy atoms; they come first."""
        return int((self.ordinals == 0).sum())

    def to_molecule(self, positions: np.ndarray) -> Molecule:
        """The graph with positions [N, 3] as a molecule of the data contract."""
        i, j = np.nonzero(np.triu(self.orders))
        return Molecule(
            self.numbers.astype(np.uint8),
            positions.astype(np.float32),
            np.stack([i, j], 1).astype(np.int16),
            self.orders[i, j].astype(np.uint8),
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
    size = mol.GetNumAtoms()
    orders = np.zeros((size, size), np.uint8)
    aromatic, conjugated = orders.copy(), orders.copy()
    flags = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx(), b.GetIsAromatic(), b.GetIsConjugated()) for b in mol.GetBonds()]
    paths = np.minimum(Chem.GetDistanceMatrix(mol), MAX_PATH).astype(np.uint8)
    rings = np.zeros((size, len(RING_SIZES)), np.uint8)
    for ring in mol.GetRingInfo().AtomRings():
        if len(ring) in RING_SIZES:
            rings[list(ring), RING_SIZES.index(len(ring))] = 1
    Chem.Kekulize(mol, clearAromaticFlags=True)
    for (i, j, is_aromatic, is_conjugated), bond in zip(flags, mol.GetBonds(), strict=True):
        orders[i, j] = orders[j, i] = int(bond.GetBondTypeAsDouble())
        aromatic[i, j] = aromatic[j, i] = is_aromatic
        conjugated[i, j] = conjugated[j, i] = is_conjugated
    parents = np.concatenate([np.arange(heavy), np.repeat(np.arange(heavy), hydrogens)])
    ordinals = np.concatenate([np.zeros(heavy, int), *[np.arange(1, count + 1) for count in hydrogens]])
    return Graph(
        numbers=np.array([a.GetAtomicNum() for a in mol.GetAtoms()], np.uint8),
        charges=np.array([a.GetFormalCharge() for a in mol.GetAtoms()], np.int8),
        valences=orders.sum(1).astype(np.uint8),
        orders=orders,
        aromatic=aromatic,
        conjugated=conjugated,
        paths=paths,
        rings=rings,
        parents=parents.astype(np.int16),
        ordinals=ordinals.astype(np.uint8),
        source=source,
    )


def order_hydrogens(graph: Graph, positions: np.ndarray) -> np.ndarray:
    """Index order [N] that gives the hydrogens of each heavy atom labels fixed by the conformer.

    Seen along an axis through the bearing atom, siblings are numbered in right-handed order; the first is the one
    most nearly opposite (anti) to a reference atom. Both are functions of the geometry that a proper rotation does
    not change and a reflection does.

    Args:
        graph: graph in canonical order.
        positions: [N, 3] angstrom, in the order of `graph`.
    """
    order = np.arange(len(graph))
    for parent in range(graph.heavy):
        siblings = np.flatnonzero((graph.parents == parent) & (graph.ordinals > 0))
        if len(siblings) < 2:
            continue
        heavy = np.flatnonzero(graph.orders[parent, : graph.heavy])
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
            beyond = np.setdiff1d(np.flatnonzero(graph.orders[heavy[0]]), [parent, *siblings])
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


@dataclass(frozen=True)
class GraphBatch:
    """B graphs padded to N atoms, as tensors (integers as uint8 until a network embeds them).

    numbers, charges, valences, ordinals: [B, N]; parents [B, N] int64; orders, aromatic, conjugated, paths: [B, N, N];
    rings: [B, N, 5]; mask: [B, N] bool, True for atoms. Charges are stored shifted by CHARGE_SHIFT.
    """

    numbers: torch.Tensor
    charges: torch.Tensor
    valences: torch.Tensor
    ordinals: torch.Tensor
    parents: torch.Tensor
    orders: torch.Tensor
    aromatic: torch.Tensor
    conjugated: torch.Tensor
    paths: torch.Tensor
    rings: torch.Tensor
    mask: torch.Tensor

    def __len__(self) -> int:
        return len(self.mask)

    @property
    def atom_counts(self) -> torch.Tensor:
        """[B] number of atoms of each graph."""
        return self.mask.sum(1)

    def select(self, indices: torch.Tensor, width: int) -> "GraphBatch":
        """The graphs at `indices`, cut to the first `width` atoms (which must hold them)."""
        cut = {}
        for name in (field.name for field in fields(self)):
            tensor = getattr(self, name)[indices, :width]
            cut[name] = tensor[:, :, :width] if name in ("orders", "aromatic", "conjugated", "paths") else tensor
        return GraphBatch(**cut)

    def heavy(self) -> "GraphBatch":
        """The same graphs without hydrogens (valences keep counting them)."""
        is_heavy = self.mask & (self.ordinals == 0)
        width = int(is_heavy.sum(1).max())
        batch = self.select(torch.arange(len(self), device=self.mask.device), width)
        return GraphBatch(**{**{f.name: getattr(batch, f.name) for f in fields(batch)}, "mask": is_heavy[:, :width]})

    def to(self, device: str | torch.device) -> "GraphBatch":
        """The same graphs on another device."""
        return GraphBatch(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


def pad_graphs(graphs: list[Graph], width: int | None = None) -> GraphBatch:
    """Stack graphs into one batch padded to the largest (or to `width` atoms)."""
    count, width = len(graphs), width or max(map(len, graphs), default=1)

    def stack(name: str, shape: tuple[int, ...], dtype: type, shift: int = 0) -> torch.Tensor:
        out = np.zeros((count, *shape), dtype)
        for i, graph in enumerate(graphs):
            value = getattr(graph, name)
            if name == "paths":
                out[i] = MAX_PATH
            out[i][tuple(slice(s) for s in value.shape)] = value.astype(dtype) + shift
        return torch.from_numpy(out)

    square = (width, width)
    return GraphBatch(
        numbers=stack("numbers", (width,), np.uint8),
        charges=stack("charges", (width,), np.uint8, shift=CHARGE_SHIFT),
        valences=stack("valences", (width,), np.uint8),
        ordinals=stack("ordinals", (width,), np.uint8),
        parents=stack("parents", (width,), np.int64),
        orders=stack("orders", square, np.uint8),
        aromatic=stack("aromatic", square, np.uint8),
        conjugated=stack("conjugated", square, np.uint8),
        paths=stack("paths", square, np.uint8),
        rings=stack("rings", (width, len(RING_SIZES)), np.uint8),
        mask=torch.arange(width)[None] < torch.tensor([len(g) for g in graphs])[:, None],
    )


@dataclass(frozen=True)
class Conformers:
    """Graphs with conformers, in canonical order.

    positions and mirrored: [M, N, 3] angstrom, centred, zero where padded; `mirrored` is the mirror image with its
    hydrogens labelled anew. `index` [M] is the row of each in the molecules they came from.
    """

    graphs: list[Graph]
    batch: GraphBatch
    positions: torch.Tensor
    mirrored: torch.Tensor
    index: np.ndarray


def read_conformers(molecules: Molecules, max_heavy: float = math.inf, max_atoms: float = math.inf) -> Conformers:
    """Molecules with a usable graph (of at most so many heavy atoms, so many atoms) and finite coordinates."""
    graphs, positions, mirrored, index = [], [], [], []
    for i, molecule in enumerate(molecules):
        graph = canonical_graph(molecule)
        if graph is None or not np.isfinite(molecule.positions).all():
            continue
        if graph.heavy > max_heavy or len(graph) > max_atoms:
            continue
        x = molecule.positions[graph.source].astype(np.float64)
        x -= x.mean(0)
        graphs.append(graph)
        positions.append(x[order_hydrogens(graph, x)])
        mirrored.append(-x[order_hydrogens(graph, -x)])
        index.append(i)
    batch = pad_graphs(graphs)
    return Conformers(graphs, batch, _pad(positions, batch), _pad(mirrored, batch), np.array(index))


def read_graphs(molecules: Iterable[Molecule]) -> list[Graph]:
    """The canonical graphs of all molecules that have a usable one."""
    return [graph for graph in map(canonical_graph, molecules) if graph is not None]


def _pad(positions: list[np.ndarray], batch: GraphBatch) -> torch.Tensor:
    out = np.zeros((*batch.mask.shape, 3), np.float32)
    for i, x in enumerate(positions):
        out[i, : len(x)] = x
    return torch.from_numpy(out)


Found = TypeVar("Found", Conformers, list[Graph])


def require_molecules(found: Found) -> Found:
    """The same graphs or conformers, or a plain error where the dataset has none."""
    if not len(found.graphs if isinstance(found, Conformers) else found):
        raise UserError("The dataset has no molecule with a usable bond graph. Check its bonds and hydrogens.")
    return found


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
