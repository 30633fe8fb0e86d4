"""Distances against covalent radii: which atoms touch, and whether a geometry has the bonds of a graph."""

import numpy as np
from rdkit import Chem
from scipy.spatial.distance import pdist

_TABLE = Chem.GetPeriodicTable()
COVALENT_RADII = np.array([_TABLE.GetRcovalent(number) for number in range(119)])
"""[119] angstrom, by atomic number (Cordero et al., Dalton Trans. 2008, 2832, as RDKit has them)."""
BROKEN = 1.25
"""A bond longer than this times the sum of its covalent radii is broken. Bonds of QM9 stay below 1.19 in 10 ps."""
FORMED = 1.1
"""Atoms closer than this times the sum of their covalent radii are bonded. Others of QM9 stay above 1.2 in 10 ps."""


def relative_distances(atomic_numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """[N, N] distances between positions [N, 3] (angstrom) over the sums of the two covalent radii."""
    radii = COVALENT_RADII[atomic_numbers]
    return np.linalg.norm(positions[:, None] - positions, axis=-1) / (radii[:, None] + radii)


def close_pairs(atomic_numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """[B, 2] pairs closer than `BROKEN`: the bond graph where none is known. Positions [N, 3] in angstrom."""
    return np.argwhere(np.triu(relative_distances(atomic_numbers, positions) < BROKEN, 1))


class BondGraph:
    """The project's criterion for survival of a bond graph [B, 2] by distances alone.

    Measured against covalent radii, not against the generated lengths: those would excuse a stretched bond and condemn
    a compressed one. Between `FORMED` and `BROKEN`, two atoms are whatever they were.
    """

    def __init__(self, atomic_numbers: np.ndarray, bonds: np.ndarray) -> None:
        n = len(atomic_numbers)
        first, second = np.triu_indices(n, 1)  # the order of pdist
        bonded = np.zeros((n, n), bool)
        bonded[bonds[:, 0], bonds[:, 1]] = bonded[bonds[:, 1], bonds[:, 0]] = True
        radii = COVALENT_RADII[atomic_numbers]
        touching = radii[first] + radii[second]
        self._longest = np.where(bonded[first, second], BROKEN * touching, np.inf)
        self._shortest = np.where(bonded[first, second], 0.0, FORMED * touching)

    def failure(self, positions: np.ndarray) -> str | None:
        """`bond_broken`, `bond_formed`, `exploded` (no numbers) or None at positions [N, 3], angstrom."""
        distances = pdist(positions)
        if not np.isfinite(distances).all():
            return "exploded"
        if (distances > self._longest).any():
            return "bond_broken"
        return "bond_formed" if (distances < self._shortest).any() else None
