"""Molecules: what one is, and many of them as flat arrays."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from rdkit.Chem import GetPeriodicTable

from latent3d.data import records
from latent3d.data.records import Block, Field, Records, Schema

ELEMENTS = ["X", *(GetPeriodicTable().GetElementSymbol(number) for number in range(1, 84))]
"""Symbols by atomic number, up to bismuth; index 0 is the dummy element."""


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


ATOMS, BONDS = Block("atoms"), Block("bonds", optional=True)


class Molecules(Records):
    """M molecules with A atoms and B bonds in all. Columns: `id`, `smiles`, `split`, `status`, properties, ..."""

    schema = Schema(
        "molecules",
        (
            Field("atomic_numbers", np.uint8, ATOMS),
            Field("positions", np.float32, ATOMS, (3,), "angstrom"),
            Field("bonds", np.int16, BONDS, (2,), points_to=ATOMS),
            Field("bond_orders", np.uint8, BONDS),
            Field("formal_charges", np.int8, ATOMS, unit="elementary charge", null_with=BONDS),
        ),
    )

    def __getitem__(self, index: int) -> Molecule:
        # Spelt out: loops over molecules take three times as long with the general one.
        arrays, known, atoms, bonds = self.arrays, self.known["bonds"], self.offsets["atoms"], self.offsets["bonds"]
        if not -len(known) <= index < len(known):
            raise IndexError(f"molecule {index} of {len(known)}")
        index %= len(known)
        own = slice(atoms[index], atoms[index + 1])
        if not known[index]:
            return Molecule(arrays["atomic_numbers"][own], arrays["positions"][own])
        edges = slice(bonds[index], bonds[index + 1])
        return Molecule(
            arrays["atomic_numbers"][own],
            arrays["positions"][own],
            arrays["bonds"][edges],
            arrays["bond_orders"][edges],
            arrays["formal_charges"][own],
        )

    def __iter__(self) -> Iterator[Molecule]:
        return (self[i] for i in range(len(self)))

    @property
    def atomic_numbers(self) -> np.ndarray:
        """[A] uint8."""
        return self.arrays["atomic_numbers"]

    @property
    def positions(self) -> np.ndarray:
        """[A, 3] float32, angstrom. NaN where a coordinate is unknown."""
        return self.arrays["positions"]

    @property
    def atom_offsets(self) -> np.ndarray:
        """[M + 1] int64; molecule i owns atoms atom_offsets[i]:atom_offsets[i + 1]."""
        return self.offsets["atoms"]

    @property
    def bonds(self) -> np.ndarray:
        """[B, 2] int16, indices within the molecule."""
        return self.arrays["bonds"]

    @property
    def bond_orders(self) -> np.ndarray:
        """[B] uint8, Kekule orders 1, 2, 3."""
        return self.arrays["bond_orders"]

    @property
    def bond_offsets(self) -> np.ndarray:
        """[M + 1] int64."""
        return self.offsets["bonds"]

    @property
    def formal_charges(self) -> np.ndarray:
        """[A] int8."""
        return self.arrays["formal_charges"]

    @property
    def bonds_known(self) -> np.ndarray:
        """[M] bool; False where bonds and formal charges are unknown."""
        return self.known["bonds"]

    @cached_property
    def atom_counts(self) -> np.ndarray:
        """[M] int64, number of atoms of each molecule."""
        return self.counts("atoms")

    @cached_property
    def molecule_of_atom(self) -> np.ndarray:
        """[A] int64, index of the molecule that owns each atom."""
        return np.repeat(np.arange(len(self)), self.atom_counts)

    def any_atom(self, atoms: np.ndarray) -> np.ndarray:
        """[M] bool: any atom of the molecule is marked in `atoms` [A] bool."""
        return np.bincount(self.molecule_of_atom[atoms], minlength=len(self)) > 0

    def with_positions(self, positions: np.ndarray) -> "Molecules":
        """The same molecules at other positions [A, 3], angstrom."""
        if positions.shape != self.positions.shape:
            raise ValueError(f"positions have shape {positions.shape}, the molecules {self.positions.shape}")
        return replace(self, arrays={**self.arrays, "positions": positions.astype(np.float32)})


def from_list(
    molecules: Iterable[Molecule], table: pd.DataFrame | None = None, units: Mapping[str, str] | None = None
) -> Molecules:
    """Pack single molecules into flat arrays. `table` has one row per molecule (default: no columns)."""
    return records.from_list(Molecules, (vars(molecule) for molecule in molecules), table, units)
