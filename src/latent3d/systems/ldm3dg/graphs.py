"""Molecules as flat arrays of atoms and directed edges: what the networks of the geometric autoencoder see.

Nothing is padded: a batch is the atoms of its molecules one after the other, with the molecule that owns each, so that
batch normalisation and radius graphs see atoms alone. Two sets of edges: `near`, pairs within 5 angstrom, and `bonds`.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch

from latent3d.data.molecules.molecules import Molecule, Molecules
from latent3d.data.molecules.rdkit import sanitised
from latent3d.data.records import gather

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
class GraphBatch:
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
class _Pairs:
    """Directed pairs of M molecules: atoms in their molecules [E, 2], kinds [E]; offsets [M + 1] on the CPU."""

    atoms: torch.Tensor
    kinds: torch.Tensor
    offsets: np.ndarray

    def select(self, rows: np.ndarray, first_atoms: np.ndarray) -> Edges:
        """The pairs of some molecules, whose atoms now begin at `first_atoms`."""
        found, offsets = gather(self.offsets, rows)
        shift = np.repeat(first_atoms, np.diff(offsets))
        found, shift = (torch.from_numpy(a).to(self.atoms.device) for a in (found, shift))
        senders, receivers = (self.atoms[found] + shift[:, None]).unbind(1)
        return Edges(senders, receivers, self.kinds[found])


@dataclass(frozen=True)
class Graphs:
    """M molecules as flat arrays; `index` [M] is the row of each in the molecules they came from."""

    numbers: torch.Tensor
    charges: torch.Tensor
    positions: torch.Tensor
    offsets: np.ndarray
    near: _Pairs
    bonds: _Pairs
    index: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> np.ndarray:
        """[M] number of atoms."""
        return np.diff(self.offsets)

    def to(self, device: str | torch.device) -> "Graphs":
        """The same on another device; offsets stay on the CPU."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("numbers", "charges", "positions"):
            parts[name] = parts[name].to(device)
        for name in ("near", "bonds"):
            pairs = parts[name]
            parts[name] = _Pairs(pairs.atoms.to(device), pairs.kinds.to(device), pairs.offsets)
        return Graphs(**parts)

    def select(self, rows: np.ndarray | torch.Tensor) -> GraphBatch:
        """Some of the molecules as a batch on the same device. All sizes are known on the CPU: no step waits."""
        rows, device = np.asarray(rows), self.numbers.device
        found, offsets = gather(self.offsets, rows)
        counts = np.diff(offsets)
        batch = np.repeat(np.arange(len(rows)), counts)
        place = np.arange(len(batch)) - offsets[batch]
        found, batch, place, sizes = (torch.from_numpy(a).to(device) for a in (found, batch, place, counts))
        return GraphBatch(
            numbers=self.numbers[found],
            charges=self.charges[found],
            positions=self.positions[found],
            batch=batch,
            place=place,
            counts=sizes,
            width=int(counts.max(initial=0)),
            near=self.near.select(rows, offsets[:-1]),
            bonds=self.bonds.select(rows, offsets[:-1]),
        )


def read_graphs(molecules: Molecules | list[Molecule], placed: bool = True) -> Graphs:
    """The molecules whose bonds are known and which RDKit can sanitise, with finite positions if `placed`."""
    found, index = [], []
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
        found.append((molecule, kinds + kinds.T))
        index.append(i)
    positions = [m.positions.astype(np.float64) - m.positions.astype(np.float64).mean(0) for m, _ in found]
    sizes = [len(m) for m, _ in found]
    near = [(near_pairs(x), kinds) for x, (_, kinds) in zip(positions, found, strict=True)]
    return Graphs(
        numbers=_flat([m.atomic_numbers for m, _ in found], (), np.int64),
        charges=_flat([m.formal_charges for m, _ in found], (), np.int64) + MAX_CHARGE,
        positions=_flat(positions, (3,), np.float32),
        offsets=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]),
        near=_pairs(near),
        bonds=_pairs([(np.argwhere(kinds > 0), kinds) for _, kinds in found]),
        index=np.array(index, np.int64),
    )


def near_pairs(positions: np.ndarray) -> np.ndarray:
    """[E, 2] ordered pairs of different atoms within RADIUS of each other; none where positions are NaN."""
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    return np.argwhere(distances < RADIUS)


def _pairs(found: list[tuple[np.ndarray, np.ndarray]]) -> _Pairs:
    """From pairs [E, 2] of each molecule and its kinds of bonds [N, N]."""
    offsets = np.concatenate([[0], np.cumsum([len(pairs) for pairs, _ in found], dtype=np.int64)])
    kinds = [matrix[pairs[:, 0], pairs[:, 1]] for pairs, matrix in found]
    return _Pairs(_flat([pairs for pairs, _ in found], (2,), np.int64), _flat(kinds, (), np.int64), offsets)


def _flat(parts: list[np.ndarray], shape: tuple[int, ...], dtype: type) -> torch.Tensor:
    return torch.from_numpy(np.concatenate([np.zeros((0, *shape)), *parts]).astype(dtype))
