"""The EDM protocol (Hoogeboom et al. 2022): stability, validity, uniqueness and novelty from distances alone.

Kept for comparison with published tables only. Bonds come from typical lengths with fixed margins (no aromatic
order), charges are ignored, and sanitisation may add hydrogens, so that a methyl radical counts as valid: read it
beside strict validity and the row of real data (QM9 test molecules reach 99.4 / 95.6 %, not 100).
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass

import numpy as np
from rdkit import Chem, rdBase

from latent3d.metrics.pairs import all_pairs, pair_distances
from latent3d.molecules.molecules import ELEMENTS, Molecules

MAX_ATOMS = 1000
"""Larger molecules get no bonds (hence are unstable), so that a file cannot exhaust the memory."""

MARGINS = (10, 5, 3)
"""Picometres by which a single, double, triple bond may be longer than its typical length."""

# Typical bond lengths in picometres. Pairs that are absent never bond.
_SINGLE = """
H-H 74 H-C 109 H-N 101 H-O 96 H-F 92 H-P 144 H-S 134 H-Cl 127 H-Br 141 H-I 161
C-C 154 C-N 147 C-O 143 C-F 135 C-P 184 C-S 182 C-Cl 177 C-Br 194 C-I 214
N-N 145 N-O 140 N-F 136 N-P 177 N-S 168 N-Cl 175 N-Br 214 N-I 222
O-O 148 O-F 142 O-P 163 O-S 151 O-Cl 164 O-Br 172 O-I 194
F-F 142 F-P 156 F-S 158 F-Cl 166 F-Br 178 F-I 187
"""
_DOUBLE = "C-C 134 C-N 129 C-O 120 C-S 160 N-N 125 N-O 121 O-O 121 O-P 150 P-S 186"
_TRIPLE = "C-C 120 C-N 116 C-O 113 N-N 110"
_VALENCES = {
    "H": (1,), "B": (3,), "C": (4,), "N": (3,), "O": (2,), "F": (1,), "Al": (3,), "Si": (4,), "P": (3, 5), "S": (4,),
    "Cl": (1,), "As": (3,), "Br": (1,), "I": (1,), "Hg": (1, 2), "Bi": (3, 5),
}  # fmt: skip

_BOND_TYPES = {1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE}


@dataclass(frozen=True)
class PerceivedBonds:
    """Bonds of the EDM rule for M molecules with A atoms.

    Attributes:
        pairs: [B, 2] int64, flat atom indices (not within the molecule), first index smaller, sorted.
        orders: [B] uint8.
        valences: [A] int64, sum of the bond orders of each atom.
    """

    pairs: np.ndarray
    orders: np.ndarray
    valences: np.ndarray


def perceive(molecules: Molecules) -> PerceivedBonds:
    """Bond orders by distance: single if d < b1 + 10 pm; then double if d < b2 + 5; then triple if d < b3 + 3.

    The tests are nested and strict. A NaN coordinate gives no bond.
    """
    pairs, orders = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.uint8)]
    numbers = molecules.atomic_numbers.clip(max=len(ELEMENTS) - 1)
    for first, second in all_pairs(molecules, MAX_ATOMS):
        distance = 100 * pair_distances(molecules, first, second)  # picometres
        lengths = [table[numbers[first], numbers[second]] for table in _THRESHOLDS]
        single = distance < lengths[0]
        double = single & (distance < lengths[1])
        order = single.astype(np.uint8) + double + (double & (distance < lengths[2]))
        bonded = np.flatnonzero(order)
        pairs.append(np.stack([first[bonded], second[bonded]], axis=1))
        orders.append(order[bonded])
    pairs, orders = np.concatenate(pairs), np.concatenate(orders)
    sorting = np.lexsort((pairs[:, 1], pairs[:, 0]))
    pairs, orders = pairs[sorting], orders[sorting]
    atoms = len(molecules.atomic_numbers)
    valences = sum(np.bincount(pairs[:, end], weights=orders, minlength=atoms) for end in (0, 1))
    return PerceivedBonds(pairs, orders, valences.astype(np.int64))


def stable_atoms(molecules: Molecules, bonds: PerceivedBonds) -> np.ndarray:
    """[A] bool: the sum of an atom's bond orders is an allowed valence of its element (charges ignored)."""
    numbers = molecules.atomic_numbers.clip(max=len(ELEMENTS) - 1)
    return _ALLOWED[numbers, bonds.valences.clip(max=_ALLOWED.shape[1] - 1)]


def stable_molecules(molecules: Molecules, atoms_stable: np.ndarray) -> np.ndarray:
    """[M] bool: all atoms stable. A molecule without atoms is not stable."""
    unstable = np.bincount(molecules.molecule_of_atom[~atoms_stable], minlength=len(molecules))
    return (unstable == 0) & (molecules.atom_counts > 0)


def smiles(molecules: Molecules, bonds: PerceivedBonds) -> list[str | None]:
    """SMILES, hydrogens written out, of the largest fragment of each molecule; None where sanitisation fails.

    A coordinate that is not finite fails too: without bonds, every atom would count as a valid fragment.

    Samples and training molecules must both come through here: comparing with any other SMILES calls the training
    set novel.
    """
    finite = np.isfinite(molecules.positions).all(axis=1)
    lost = np.bincount(molecules.molecule_of_atom[~finite], minlength=len(molecules)) > 0
    with rdBase.BlockLogs():
        parts = zip(_molecule_parts(molecules, bonds), lost, strict=True)
        return [None if undefined else _smiles(*part) for part, undefined in parts]


@dataclass(frozen=True)
class LegacyScores:
    """Values of the EDM protocol with their own denominators; fractions of 1.

    Attributes:
        atom_stability: stable atoms / atoms, pooled over all molecules; None if there is no atom.
        molecule_stability: stable molecules / N.
        validity: molecules that sanitise / N.
        uniqueness: distinct SMILES / valid; None if nothing is valid.
        novelty: distinct SMILES absent from the training set / distinct; None if nothing is valid.
        stable_atoms: [M] int64, number of stable atoms of each molecule.
        stable: [M] bool, molecules that are stable.
        counts: the numerators and denominators.
    """

    atom_stability: float | None
    molecule_stability: float | None
    validity: float | None
    uniqueness: float | None
    novelty: float | None
    stable_atoms: np.ndarray
    stable: np.ndarray
    counts: dict[str, int]


def legacy_scores(samples: Molecules, train_smiles: Set[str], usable: np.ndarray | None = None) -> LegacyScores:
    """Score samples under the EDM protocol.

    Args:
        samples: M molecules; only elements and positions are looked at.
        train_smiles: `smiles` of the training molecules.
        usable: [M] bool, False where the sample is a failure: its atoms and itself count as unstable and invalid.
    """
    usable = np.ones(len(samples), bool) if usable is None else usable
    bonds = perceive(samples)
    atoms = stable_atoms(samples, bonds) & usable[samples.molecule_of_atom]
    stable = stable_molecules(samples, atoms)
    valid = [s for s, use in zip(smiles(samples, bonds), usable, strict=True) if use and s is not None]
    distinct = set(valid)
    novel = distinct - train_smiles
    counts = {
        "legacy_atoms": len(atoms),
        "legacy_stable_atoms": int(atoms.sum()),
        "legacy_stable_molecules": int(stable.sum()),
        "legacy_valid": len(valid),
        "legacy_unique": len(distinct),
        "legacy_novel": len(novel),
    }
    return LegacyScores(
        _share(counts["legacy_stable_atoms"], len(atoms)),
        _share(counts["legacy_stable_molecules"], len(samples)),
        _share(len(valid), len(samples)),
        _share(len(distinct), len(valid)),
        _share(len(novel), len(distinct)),
        np.bincount(samples.molecule_of_atom[atoms], minlength=len(samples)),
        stable,
        counts,
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _table(text: str, margin: int) -> np.ndarray:
    """[Z, Z] upper limit of the distance in picometres; -inf where the pair does not bond."""
    limits = np.full((len(ELEMENTS), len(ELEMENTS)), -np.inf)
    words = text.split()
    for pair, length in zip(words[::2], words[1::2], strict=True):
        i, j = (ELEMENTS.index(symbol) for symbol in pair.split("-"))
        limits[i, j] = limits[j, i] = int(length) + margin
    return limits


def _allowed_valences() -> np.ndarray:
    """[Z, 32] bool; the last column (31 or more) is never allowed."""
    allowed = np.zeros((len(ELEMENTS), 32), bool)
    for symbol, valences in _VALENCES.items():
        allowed[ELEMENTS.index(symbol), list(valences)] = True
    return allowed


_THRESHOLDS = [_table(text, margin) for text, margin in zip((_SINGLE, _DOUBLE, _TRIPLE), MARGINS, strict=True)]
_ALLOWED = _allowed_valences()


def _molecule_parts(
    molecules: Molecules, bonds: PerceivedBonds
) -> Iterator[tuple[list[int], list[list[int]], list[int]]]:
    """Atomic numbers, bonds (indices within the molecule) and orders of each molecule."""
    # Sorted by first atom, hence by molecule.
    ends = np.searchsorted(bonds.pairs[:, 0], molecules.atom_offsets)
    for i in range(len(molecules)):
        start, stop = molecules.atom_offsets[i], molecules.atom_offsets[i + 1]
        own = slice(ends[i], ends[i + 1])
        yield (
            molecules.atomic_numbers[start:stop].tolist(),
            (bonds.pairs[own] - start).tolist(),
            bonds.orders[own].tolist(),
        )


def _smiles(numbers: list[int], pairs: list[list[int]], orders: list[int]) -> str | None:
    if not numbers or len(numbers) > MAX_ATOMS or max(numbers) >= len(ELEMENTS):
        return None
    editable = Chem.RWMol()
    for number in numbers:
        editable.AddAtom(Chem.Atom(number))
    for (i, j), order in zip(pairs, orders, strict=True):
        editable.AddBond(i, j, _BOND_TYPES[order])
    if Chem.SanitizeMol(editable, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
        return None
    fragments = Chem.GetMolFrags(editable, asMols=True, sanitizeFrags=False)
    return Chem.MolToSmiles(max(fragments, key=Chem.Mol.GetNumAtoms))
