"""Molecules as flat arrays of atoms and directed edges: what the networks of the geometric autoencoder see.

Nothing is padded: a batch is the atoms of its molecules one after the other, with the molecule that owns each, so that
batch normalisation and radius graphs see atoms alone. Two sets of edges: `near`, pairs within 5 angstrom, and `bonds`.
"""

from dataclasses import dataclass

import numpy as np
import torch

from latent3d.data.molecules.molecules import Molecule, Molecules
from latent3d.data.molecules.rdkit import sanitised
from latent3d.graphs.ragged import RaggedTensor, Rows

RADIUS = 5.0  # angstrom
NO_BOND, AROMATIC = 0, 4
KINDS = 5
"""Kinds of an edge: no bond, bond orders 1 to 3, aromatic."""
MAX_NUMBER, MAX_CHARGE = 118, 8


@dataclass(frozen=True)
class Edges:
    """Directed edges of a batch, both ways: `senders` and `receivers` [E] are atoms, `kinds` [E] as in KINDS."""

    senders: torch.Tensor
    receivers: torch.Tensor
    kinds: torch.Tensor


@dataclass(frozen=True)
class EdgeBatch:
    """B molecules with A atoms.

    Attributes:
        numbers: [A] atomic numbers.
        charges: [A] formal charges plus MAX_CHARGE.
        positions: [A, 3] angstrom, each molecule centred; NaN where a molecule has none.
        batch: [A] the molecule of each atom.
        place: [A] the place of each atom in its molecule.
        counts: [B] number of atoms.
        width: the largest of them.
        near: pairs within RADIUS (none in molecules without positions).
        bonds: bonds of the graph.
    """

    numbers: torch.Tensor
    charges: torch.Tensor
    positions: torch.Tensor
    batch: torch.Tensor
    place: torch.Tensor
    counts: torch.Tensor
    width: int
    near: Edges
    bonds: Edges

    def __len__(self) -> int:
        return len(self.counts)

    def mean(self, x: torch.Tensor) -> torch.Tensor:
        """Mean over the atoms of each molecule: [A, D] -> [B, D]."""
        return segment_mean(x, self.batch, len(self))

    def centred(self, x: torch.Tensor) -> torch.Tensor:
        """[A, 3] with the mean of every molecule at zero."""
        return x - self.mean(x)[self.batch]

    def dense(self, x: torch.Tensor) -> torch.Tensor:
        """[A, D] -> [B, N, D], zero at padding."""
        return x.new_zeros(len(self), self.width, x.shape[1]).index_put((self.batch, self.place), x)

    @property
    def mask(self) -> torch.Tensor:
        """[B, N] True for atoms of `dense`."""
        return torch.arange(self.width, device=self.counts.device) < self.counts[:, None]


def segment_mean(x: torch.Tensor, segments: torch.Tensor, count: int) -> torch.Tensor:
    """Mean of the rows of x [E, D] in each of so many segments [E]; zero where a segment has none."""
    total = x.new_zeros(count, x.shape[1]).index_add(0, segments, x)
    return total / x.new_zeros(count, 1).index_add(0, segments, x.new_ones(len(x), 1)).clamp(min=1)


@dataclass(frozen=True)
class EdgeGraphs:
    """M molecules as flat arrays.

    Attributes:
        atoms: [N, 2] int16 of each: atomic numbers, formal charges plus MAX_CHARGE.
        positions: [N, 3] float32 of each.
        near, bonds: [E, 3] int16 of each: two atoms and the kind of the edge between them.
        index: [M] the row of each in the molecules they came from.
    """

    atoms: RaggedTensor
    positions: RaggedTensor
    near: RaggedTensor
    bonds: RaggedTensor
    index: np.ndarray

    def __len__(self) -> int:
        return len(self.atoms)

    @property
    def sizes(self) -> np.ndarray:
        """[M] number of atoms."""
        return self.atoms.counts

    def to(self, device: str | torch.device) -> "EdgeGraphs":
        """The same on another device."""
        parts = (part.to(device) for part in (self.atoms, self.positions, self.near, self.bonds))
        return EdgeGraphs(*parts, self.index)

    def select(self, rows: Rows) -> EdgeBatch:
        """Some of the molecules as a batch on the same device. All sizes are known on the CPU: no step waits."""
        atoms, device = self.atoms.take(rows), self.atoms.values.device
        numbers, charges = atoms.values.long().unbind(1)
        batch = np.repeat(np.arange(len(atoms)), atoms.counts)
        place = np.arange(len(batch)) - atoms.offsets[batch]
        batch, place, counts = (torch.from_numpy(a).to(device) for a in (batch, place, atoms.counts))
        return EdgeBatch(
            numbers=numbers,
            charges=charges,
            positions=self.positions.take(rows).values,
            batch=batch,
            place=place,
            counts=counts,
            width=int(atoms.counts.max(initial=0)),
            near=_edges(self.near.take(rows), atoms.offsets),
            bonds=_edges(self.bonds.take(rows), atoms.offsets),
        )


def _edges(found: RaggedTensor, first_atoms: np.ndarray) -> Edges:
    """The edges of molecules whose atoms begin at `first_atoms`."""
    shift = torch.from_numpy(np.repeat(first_atoms[:-1], found.counts)).to(found.values.device)
    i, j, kinds = found.values.long().unbind(1)
    return Edges(i + shift, j + shift, kinds)


def read_edge_graphs(molecules: Molecules | list[Molecule], placed: bool = True) -> EdgeGraphs:
    """The molecules whose bonds are known and which RDKit can sanitise, with finite positions if `placed`."""
    atoms, positions, near, bonds, index = [], [], [], [], []
    for i, molecule in enumerate(molecules):
        if molecule.bonds is None or not len(molecule) or (placed and not np.isfinite(molecule.positions).all()):
            continue
        mol = sanitised(molecule)
        if mol is None:
            continue
        kinds = np.zeros((len(molecule), len(molecule)), np.int64)
        for bond in mol.GetBonds():
            kind = AROMATIC if bond.GetIsAromatic() else int(bond.GetBondTypeAsDouble())
            kinds[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()] = kind
        kinds += kinds.T
        x = molecule.positions.astype(np.float64)
        x -= x.mean(0)
        charges = molecule.formal_charges.astype(np.int64) + MAX_CHARGE
        atoms.append(np.column_stack([molecule.atomic_numbers, charges]))
        positions.append(x.astype(np.float32))
        for found, pairs in ((near, near_pairs(x)), (bonds, np.argwhere(kinds > 0))):
            found.append(np.column_stack([pairs, kinds[pairs[:, 0], pairs[:, 1]]]))
        index.append(i)
    edges = np.zeros((0, 3), np.int16)
    return EdgeGraphs(
        atoms=RaggedTensor.of(atoms, edges[:, :2]),
        positions=RaggedTensor.of(positions, np.zeros((0, 3), np.float32)),
        near=RaggedTensor.of(near, edges),
        bonds=RaggedTensor.of(bonds, edges),
        index=np.array(index, np.int64),
    )


def near_pairs(positions: np.ndarray) -> np.ndarray:
    """[E, 2] ordered pairs of different atoms within RADIUS of each other; none where positions are NaN."""
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    return np.argwhere(distances < RADIUS)
