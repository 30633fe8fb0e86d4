"""Corrected stability: an atom is stable if real molecules have atoms like it.

"Like it" means the same element and formal charge with the same number of aromatic bonds and the same sum of the other
bond orders, all from the bond graph. What is allowed is collected from the reference dataset's own bonds, never from
bonds perceived from its coordinates. A combination that the reference lacks is unstable, also an unknown charge of a
known element: falling back to charge 0, as released code does, calls C(+5)H4 stable. Hence a correct sulfone is
unstable against a reference without sulfones: like novelty, the value is about a reference, and the row of real data
stands beside it.

Aromatic bonds are counted as such (order 1.5 in an integer array becomes 1, and a table widened until benzene passes
lets real errors pass too). Where RDKit refuses a molecule there is no aromaticity, and its atoms are looked up by their
Kekule orders. Carbon with orders of 4 is allowed by any sp2 carbon of the reference, so the ring beside a broken atom
stays stable.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from rdkit import Chem

from latent3d.data.molecules.internal_coordinates import AROMATIC
from latent3d.data.molecules.molecules import ELEMENTS, Molecule, Molecules

IMPOSSIBLE = 255
"""Kind of a bond whose order is none of 1, 2, 3: no table allows an atom that has one."""

MIN_SHARE = 1 / 500_000
"""Share of the reference's atoms that a combination needs to be allowed: rarer ones may be errors of the reference."""

VERSION = 1
"""Of the rules above: published beside the values, and raised whenever they change."""

UNKNOWN = -1
"""Code of an atom whose bonds are unknown; never stable."""

# A code is element | charge + 128 | aromatic bonds | sum of the other orders.
_CHARGE_BITS, _AROMATIC_BITS, _OTHERS_BITS = 8, 16, 24


def bond_kinds(molecule: Molecule, mol: Chem.Mol | None) -> np.ndarray:
    """[B] uint8: Kekule orders of the molecule's bonds, in their order, with aromatic ones replaced by AROMATIC.

    Args:
        molecule: with known bonds.
        mol: the same molecule as RDKit sanitised it (`molecules.rdkit.sanitised`); None where it refused.
    """
    orders = molecule.bond_orders
    kinds = np.where((orders >= 1) & (orders <= 3), orders, IMPOSSIBLE).astype(np.uint8)
    if mol is not None:
        kinds[[bond.GetIdx() for bond in mol.GetBonds() if bond.GetIsAromatic()]] = AROMATIC
    return kinds


def valence_codes(molecules: Molecules, kinds: np.ndarray) -> np.ndarray:
    """[A] int64: element, formal charge, number of aromatic bonds and sum of the other orders of each atom, packed.

    UNKNOWN for the atoms of molecules without known bonds.

    Args:
        molecules: M molecules with A atoms and B bonds.
        kinds: [B] kinds of their bonds (`bond_kinds`).
    """
    atoms = len(molecules.atomic_numbers)
    first_atom = np.repeat(molecules.atom_offsets[:-1], np.diff(molecules.bond_offsets))
    ends = (molecules.bonds + first_atom[:, None]).ravel()
    aromatic = np.repeat(kinds == AROMATIC, 2)
    orders = np.repeat(kinds, 2)
    n_aromatic = np.bincount(ends[aromatic], minlength=atoms)
    others = np.bincount(ends[~aromatic], weights=orders[~aromatic], minlength=atoms).astype(np.int64)
    codes = molecules.atomic_numbers.astype(np.int64)
    codes = codes << _CHARGE_BITS | (molecules.formal_charges.astype(np.int64) + 128)
    codes = codes << _AROMATIC_BITS | n_aromatic
    codes = codes << _OTHERS_BITS | others
    return np.where(molecules.bonds_known[molecules.molecule_of_atom], codes, UNKNOWN)


def describe(code: int) -> str:
    """A code in words: `C+5 with bond orders 4`, `C with 3 aromatic bonds and other orders 2`."""
    if code == UNKNOWN:
        return "bonds unknown"
    rest, others = divmod(int(code), 1 << _OTHERS_BITS)
    rest, aromatic = divmod(rest, 1 << _AROMATIC_BITS)
    number, charge = divmod(rest, 1 << _CHARGE_BITS)
    atom = ELEMENTS[number] if number < len(ELEMENTS) else f"element {number}"
    atom += f"{charge - 128:+d}" if charge != 128 else ""
    if others >= IMPOSSIBLE:
        return f"{atom} with an impossible bond order"
    if aromatic:
        return f"{atom} with {aromatic} aromatic bond{'s' * (aromatic > 1)} and other orders {others}"
    return f"{atom} with bond orders {others}"


@dataclass(frozen=True)
class ValenceTable:
    """Which atoms the reference has.

    Attributes:
        codes: [K] int64, sorted and distinct.
        counts: [K] int64, atoms of each.
    """

    codes: np.ndarray
    counts: np.ndarray

    @classmethod
    def collect(cls, codes: np.ndarray) -> "ValenceTable":
        """The table of reference atoms [A]: of the training molecules that are strictly valid, by their own bonds."""
        return cls(*np.unique(codes[codes != UNKNOWN], return_counts=True))

    @property
    def allowed(self) -> np.ndarray:
        """[K'] int64, sorted: the codes that are common enough (MIN_SHARE)."""
        return self.codes[self.counts >= MIN_SHARE * self.counts.sum()]

    def allows(self, codes: np.ndarray) -> np.ndarray:
        """[A] bool: the atom with this code is stable."""
        return np.isin(codes, self.allowed)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """`codes` and `counts`, int64."""
        return {"codes": self.codes, "counts": self.counts}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "ValenceTable":
        """The table of which `to_arrays` gave these."""
        return cls(arrays["codes"], arrays["counts"])
