"""The one data structure of the package: many molecules as flat arrays."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from latent3d.base.errors import UserError

ELEMENTS = [
    "X",
    "H",
    "He",
    "Li",
    "Be",
    "B",
    "C",
    "N",
    "O",
    "F",
    "Ne",
    "Na",
    "Mg",
    "Al",
    "Si",
    "P",
    "S",
    "Cl",
    "Ar",
    "K",
    "Ca",
    "Sc",
    "Ti",
    "V",
    "Cr",
    "Mn",
    "Fe",
    "Co",
    "Ni",
    "Cu",
    "Zn",
    "Ga",
    "Ge",
    "As",
    "Se",
    "Br",
    "Kr",
    "Rb",
    "Sr",
    "Y",
    "Zr",
    "Nb",
    "Mo",
    "Tc",
    "Ru",
    "Rh",
    "Pd",
    "Ag",
    "Cd",
    "In",
    "Sn",
    "Sb",
    "Te",
    "I",
    "Xe",
    "Cs",
    "Ba",
    "La",
    "Ce",
    "Pr",
    "Nd",
    "Pm",
    "Sm",
    "Eu",
    "Gd",
    "Tb",
    "Dy",
    "Ho",
    "Er",
    "Tm",
    "Yb",
    "Lu",
    "Hf",
    "Ta",
    "W",
    "Re",
    "Os",
    "Ir",
    "Pt",
    "Au",
    "Hg",
    "Tl",
    "Pb",
    "Bi",
]
"""Symbols by atomic number; index 0 is the dummy element."""


@dataclass(frozen=True)
class Molecule:
    """One molecule: views into the arrays of a `Molecules`, or arrays of its own.

    Attributes:
        atomic_numbers: [N] uint8.
        positions: [N, 3] float32, angstrom. NaN where a coordinate is unknown.
        bonds: [B, 2] int16, each pair once; None when bonds are unknown.
        bond_orders: [B] uint8, Kekule orders 1, 2, 3; None when bonds are unknown.
        formal_charges: [N] int8; None when unknown.
    """

    atomic_numbers: np.ndarray
    positions: np.ndarray
    bonds: np.ndarray | None = None
    bond_orders: np.ndarray | None = None
    formal_charges: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.atomic_numbers)


EMPTY = Molecule(
    np.zeros(0, np.uint8),
    np.zeros((0, 3), np.float32),
    np.zeros((0, 2), np.int16),
    np.zeros(0, np.uint8),
    np.zeros(0, np.int8),
)
"""A sample that could not be made: it keeps its row, and its status says why."""


@dataclass(frozen=True)
class Molecules:
    """M molecules with A atoms and B bonds in all, as flat arrays with offsets (no Python object per molecule).

    Attributes:
        atomic_numbers: [A] uint8.
        positions: [A, 3] float32, angstrom.
        atom_offsets: [M + 1] int64; molecule i owns atoms atom_offsets[i]:atom_offsets[i + 1].
        bonds: [B, 2] int16, indices within the molecule.
        bond_orders: [B] uint8.
        bond_offsets: [M + 1] int64.
        formal_charges: [A] int8.
        bonds_known: [M] bool; False where bonds and formal charges are null in the file.
        table: M rows of scalar columns (`id`, `smiles`, `split`, `status`, properties...); missing is null.
        units: unit of each numeric column of `table`, where it has one.
    """

    atomic_numbers: np.ndarray
    positions: np.ndarray
    atom_offsets: np.ndarray
    bonds: np.ndarray
    bond_orders: np.ndarray
    bond_offsets: np.ndarray
    formal_charges: np.ndarray
    bonds_known: np.ndarray
    table: pd.DataFrame
    units: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.atom_offsets) - 1

    def __getitem__(self, index: int) -> Molecule:
        if not -len(self) <= index < len(self):
            raise IndexError(f"molecule {index} of {len(self)}")
        index %= len(self)
        atoms = slice(self.atom_offsets[index], self.atom_offsets[index + 1])
        bonds = slice(self.bond_offsets[index], self.bond_offsets[index + 1])
        if not self.bonds_known[index]:
            return Molecule(self.atomic_numbers[atoms], self.positions[atoms])
        return Molecule(
            self.atomic_numbers[atoms],
            self.positions[atoms],
            self.bonds[bonds],
            self.bond_orders[bonds],
            self.formal_charges[atoms],
        )

    def __iter__(self) -> Iterator[Molecule]:
        return (self[i] for i in range(len(self)))

    @cached_property
    def atom_counts(self) -> np.ndarray:
        """[M] int64, number of atoms of each molecule."""
        return np.diff(self.atom_offsets)

    @cached_property
    def molecule_of_atom(self) -> np.ndarray:
        """[A] int64, index of the molecule that owns each atom."""
        return np.repeat(np.arange(len(self)), self.atom_counts)

    def any_atom(self, atoms: np.ndarray) -> np.ndarray:
        """[M] bool: any atom of the molecule is marked in `atoms` [A] bool."""
        return np.bincount(self.molecule_of_atom[atoms], minlength=len(self)) > 0

    def take(self, indices: np.ndarray | Iterable[int]) -> "Molecules":
        """The molecules at `indices` (integers or a boolean mask), in that order."""
        indices = np.asarray(indices)
        indices = np.flatnonzero(indices) if indices.dtype == bool else indices.astype(np.int64)
        atoms, atom_offsets = gather(self.atom_offsets, indices)
        bonds, bond_offsets = gather(self.bond_offsets, indices)
        return Molecules(
            self.atomic_numbers[atoms],
            self.positions[atoms],
            atom_offsets,
            self.bonds[bonds],
            self.bond_orders[bonds],
            bond_offsets,
            self.formal_charges[atoms],
            self.bonds_known[indices],
            self.table.iloc[indices].reset_index(drop=True),
            self.units,
        )

    def split(self, name: str) -> "Molecules":
        """The molecules whose `split` column says `name` (train, valid or test).

        Raises:
            UserError: there is no column `split`.
        """
        if "split" not in self.table:
            raise UserError("The molecules have no column 'split'. Make a dataset of the file with latent3d prepare.")
        return self.take((self.table["split"] == name).to_numpy())

    def with_columns(self, **columns: object) -> "Molecules":
        """The same molecules with columns added to `table` or replaced."""
        return replace(self, table=self.table.assign(**columns))

    def without_table(self) -> "Molecules":
        """The same molecules with no columns."""
        return replace(self, table=pd.DataFrame(index=range(len(self))), units={})

    def with_positions(self, positions: np.ndarray) -> "Molecules":
        """The same molecules at other positions [A, 3], angstrom."""
        if positions.shape != self.positions.shape:
            raise ValueError(f"positions have shape {positions.shape}, the molecules {self.positions.shape}")
        return replace(self, positions=positions.astype(np.float32))


def from_list(
    molecules: Iterable[Molecule], table: pd.DataFrame | None = None, units: Mapping[str, str] | None = None
) -> Molecules:
    """Pack single molecules into flat arrays. `table` has one row per molecule (default: no columns)."""
    molecules = list(molecules)
    known = np.array([m.bonds is not None for m in molecules], dtype=bool)
    no_bonds, no_orders = np.zeros((0, 2), np.int16), np.zeros(0, np.uint8)

    def flat(parts: list[np.ndarray], like: np.ndarray) -> np.ndarray:
        return np.concatenate([like, *parts]).astype(like.dtype, copy=False)

    return Molecules(
        flat([m.atomic_numbers for m in molecules], np.zeros(0, np.uint8)),
        flat([np.asarray(m.positions).reshape(-1, 3) for m in molecules], np.zeros((0, 3), np.float32)),
        _offsets([len(m) for m in molecules]),
        flat([no_bonds if m.bonds is None else m.bonds.reshape(-1, 2) for m in molecules], no_bonds),
        flat([no_orders if m.bonds is None else m.bond_orders for m in molecules], no_orders),
        _offsets([0 if m.bonds is None else len(m.bonds) for m in molecules]),
        flat(
            [np.zeros(len(m), np.int8) if m.formal_charges is None else m.formal_charges for m in molecules],
            np.zeros(0, np.int8),
        ),
        known,
        pd.DataFrame(index=range(len(molecules))) if table is None else table.reset_index(drop=True),
        dict(units or {}),
    )


def concatenate(parts: Iterable[Molecules]) -> Molecules:
    """One `Molecules` of all parts in order; tables are concatenated by column name."""
    parts = list(parts)
    units: dict[str, str] = {}
    for part in parts:
        units.update(part.units)
    return Molecules(
        np.concatenate([p.atomic_numbers for p in parts]),
        np.concatenate([p.positions for p in parts]),
        _offsets(np.concatenate([p.atom_counts for p in parts])),
        np.concatenate([p.bonds for p in parts]),
        np.concatenate([p.bond_orders for p in parts]),
        _offsets(np.concatenate([np.diff(p.bond_offsets) for p in parts])),
        np.concatenate([p.formal_charges for p in parts]),
        np.concatenate([p.bonds_known for p in parts]),
        pd.concat([p.table for p in parts], ignore_index=True),
        units,
    )


def _offsets(counts: np.ndarray | list[int]) -> np.ndarray:
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def gather(offsets: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat element indices of the ragged rows `indices`, and the offsets of the result."""
    counts = np.diff(offsets)[indices]
    new = _offsets(counts)
    return np.repeat(offsets[indices] - new[:-1], counts) + np.arange(new[-1]), new
