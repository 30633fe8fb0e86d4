"""The EDM protocol (Hoogeboom et al. 2022): stability, validity, uniqueness and novelty from distances alone.

Kept for comparison with published tables only. Bonds come from typical lengths with fixed margins (no aromatic
order), charges are ignored, and sanitisation may add hydrogens, so that a methyl radical counts as valid: read it
beside strict validity and the row of real data (QM9 test molecules reach 99.4 / 95.6 %, not 100).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rdkit import Chem, rdBase

from latent3d.data.molecules.molecules import ELEMENTS, Molecules
from latent3d.evaluation.analysis.pairs import close_pairs

MAX_ATOMS = 1000
"""Larger molecules get no bonds (hence are unstable), so that a file cannot exhaust the memory."""

MARGINS = (10, 5, 3)
"""Picometres by which a single, double, triple bond may be longer than its typical length."""

QM9_ELEMENTS = (1, 6, 7, 8, 9)
"""LDM-3DG, which is trained on other molecules too, is judged on QM9 by its samples without other elements."""

# Typical bond lengths in picometres. Pairs that are absent never bond.
_SINGLE = """
H-H 74 H-B 119 H-C 109 H-N 101 H-O 96 H-F 92 H-Si 148 H-P 144 H-S 134 H-Cl 127 H-As 152 H-Br 141 H-I 161
B-Cl 175
C-C 154 C-N 147 C-O 143 C-F 135 C-Si 185 C-P 184 C-S 182 C-Cl 177 C-Br 194 C-I 214
N-N 145 N-O 140 N-F 136 N-P 177 N-S 168 N-Cl 175 N-Br 214 N-I 222
O-O 148 O-F 142 O-Si 163 O-P 163 O-S 151 O-Cl 164 O-Br 172 O-I 194
F-F 142 F-Si 160 F-P 156 F-S 158 F-Cl 166 F-Br 178 F-I 187
Si-Si 233 Si-S 200 Si-Cl 202 Si-Br 215 Si-I 243
P-P 221 P-S 210 P-Cl 203 P-Br 222
S-S 204 S-Cl 207 S-Br 225 S-I 234
Cl-Cl 199 Cl-Br 214
Br-Br 228 I-I 266
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
        pairs: [B, 2] int64, flat atom indices (not within the molecule), first index smaller.
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
    numbers = molecules.atomic_numbers.clip(max=len(ELEMENTS) - 1)
    single, double, triple = _THRESHOLDS
    # No atom bonds farther than the longest single bond to any element that is there.
    reach = single[:, np.unique(numbers)].max(axis=1, initial=0)[numbers] / 100
    pairs, orders = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.uint8)]
    for first, second, distance in close_pairs(molecules, reach, MAX_ATOMS):
        distance = 100 * distance  # picometres
        bonded = distance < single[numbers[first], numbers[second]]
        first, second, distance = first[bonded], second[bonded], distance[bonded]
        elements = numbers[first], numbers[second]
        is_double = distance < double[elements]
        is_triple = is_double & (distance < triple[elements])
        pairs.append(np.stack([first, second], axis=1))
        orders.append(np.uint8(1) + is_double + is_triple)
    pairs, orders = np.concatenate(pairs), np.concatenate(orders)
    atoms = len(molecules.atomic_numbers)
    valences = sum(np.bincount(pairs[:, end], weights=orders, minlength=atoms) for end in (0, 1))
    return PerceivedBonds(pairs, orders, valences.astype(np.int64))


def stable_atoms(molecules: Molecules, bonds: PerceivedBonds) -> np.ndarray:
    """[A] bool: the sum of an atom's bond orders is an allowed valence of its element (charges ignored)."""
    numbers = molecules.atomic_numbers.clip(max=len(ELEMENTS) - 1)
    return _ALLOWED[numbers, bonds.valences.clip(max=_ALLOWED.shape[1] - 1)]


def stable_molecules(molecules: Molecules, atoms_stable: np.ndarray) -> np.ndarray:
    """[M] bool: all atoms stable. A molecule without atoms is not stable."""
    return ~molecules.any_atom(~atoms_stable) & (molecules.atom_counts > 0)


def smiles(molecules: Molecules, bonds: PerceivedBonds) -> list[str | None]:
    """SMILES, hydrogens written out, of the largest fragment of each molecule; None where sanitisation fails.

    Samples and training molecules must both come through here: comparing with any other SMILES calls the training
    set novel.
    """
    with rdBase.BlockLogs():
        parts = zip(_molecule_parts(molecules, bonds), _has_graph(molecules).tolist(), strict=True)
        return [_smiles(*part) if has_graph else None for part, has_graph in parts]


def geom_validity(molecules: Molecules, bonds: PerceivedBonds) -> np.ndarray:
    """[M] bool: valid as papers count it on GEOM, where every perceived bond is built as a single one.

    Sanitising such a graph of neutral atoms can only fail where an atom has more neighbours than its element's highest
    valence, so nothing needs to be built. Molecules in hundreds of pieces pass, since single atoms do.
    """
    neighbours = np.bincount(bonds.pairs.ravel(), minlength=len(molecules.atomic_numbers))
    crowded = neighbours > _MOST_NEIGHBOURS[molecules.atomic_numbers.clip(max=len(ELEMENTS) - 1)]
    return _has_graph(molecules) & ~molecules.any_atom(crowded)


@dataclass(frozen=True)
class LegacyVerdicts:
    """What the EDM protocol says of each of M molecules; verdicts of chunks are concatenated.

    Attributes:
        atoms: [M] int64, number of atoms.
        stable_atoms: [M] int64, number of stable ones.
        stable: [M] bool, whether all are (and there is one).
        smiles: [M] of the largest fragment, None where invalid.
        geom_valid: [M] bool, see `geom_validity`.
        foreign: [M] bool, whether it has an atom that is not one of QM9_ELEMENTS.
    """

    atoms: np.ndarray
    stable_atoms: np.ndarray
    stable: np.ndarray
    smiles: list[str | None]
    geom_valid: np.ndarray
    foreign: np.ndarray


def judge(molecules: Molecules, usable: np.ndarray) -> LegacyVerdicts:
    """Verdicts on M molecules; where `usable` [M] bool is False, the sample is a failure: unstable and invalid."""
    bonds = perceive(molecules)
    atoms = stable_atoms(molecules, bonds) & usable[molecules.molecule_of_atom]
    return LegacyVerdicts(
        molecules.atom_counts,
        np.bincount(molecules.molecule_of_atom[atoms], minlength=len(molecules)),
        stable_molecules(molecules, atoms),
        [text if use else None for text, use in zip(smiles(molecules, bonds), usable.tolist(), strict=True)],
        geom_validity(molecules, bonds) & usable,
        molecules.any_atom(~np.isin(molecules.atomic_numbers, QM9_ELEMENTS)),
    )


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


def _most_neighbours() -> np.ndarray:
    """[Z] highest number of single bonds that RDKit's sanitisation grants a neutral atom."""
    valences = [list(Chem.GetPeriodicTable().GetValenceList(number)) for number in range(len(ELEMENTS))]
    return np.array([np.iinfo(np.int64).max if -1 in allowed else max(allowed) for allowed in valences])


_THRESHOLDS = [_table(text, margin) for text, margin in zip((_SINGLE, _DOUBLE, _TRIPLE), MARGINS, strict=True)]
_ALLOWED = _allowed_valences()
_MOST_NEIGHBOURS = _most_neighbours()


def _has_graph(molecules: Molecules) -> np.ndarray:
    """[M] bool: has atoms, not too many, of known elements, at finite coordinates.

    Without the last, molecules of NaN would pass: they have no bonds, and every atom is a valid fragment.
    """
    numbers, counts = molecules.atomic_numbers, molecules.atom_counts
    sound = (numbers > 0) & (numbers < len(ELEMENTS)) & np.isfinite(molecules.positions).all(axis=1)
    return (counts > 0) & (counts <= MAX_ATOMS) & ~molecules.any_atom(~sound)


def _molecule_parts(
    molecules: Molecules, bonds: PerceivedBonds
) -> Iterator[tuple[list[int], list[list[int]], list[int]]]:
    """Atomic numbers, bonds (indices within the molecule) and orders of each molecule."""
    # Sorted by first atom, hence by molecule.
    sorting = np.lexsort((bonds.pairs[:, 1], bonds.pairs[:, 0]))
    pairs, orders = bonds.pairs[sorting], bonds.orders[sorting]
    ends = np.searchsorted(pairs[:, 0], molecules.atom_offsets)
    for i in range(len(molecules)):
        start, stop = molecules.atom_offsets[i], molecules.atom_offsets[i + 1]
        own = slice(ends[i], ends[i + 1])
        yield (
            molecules.atomic_numbers[start:stop].tolist(),
            (pairs[own] - start).tolist(),
            orders[own].tolist(),
        )


def _smiles(numbers: list[int], pairs: list[list[int]], orders: list[int]) -> str | None:
    editable = Chem.RWMol()
    for number in numbers:
        editable.AddAtom(Chem.Atom(number))
    for (i, j), order in zip(pairs, orders, strict=True):
        editable.AddBond(i, j, _BOND_TYPES[order])
    if Chem.SanitizeMol(editable, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
        return None
    fragments = Chem.GetMolFrags(editable, asMols=True, sanitizeFrags=False)
    return Chem.MolToSmiles(max(fragments, key=Chem.Mol.GetNumAtoms))
