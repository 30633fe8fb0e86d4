"""Unbranched molecules at given positions."""

from collections.abc import Sequence

import numpy as np

from latent3d.data.molecules.molecules import Molecule


def chain(elements: Sequence[int], positions: Sequence[Sequence[float]]) -> Molecule:
    """Atoms (atomic numbers) bonded one to the next by single bonds."""
    n = len(elements)
    bonds = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1).astype(np.int16)
    numbers, orders, charges = np.array(elements, np.uint8), np.ones(n - 1, np.uint8), np.zeros(n, np.int8)
    return Molecule(numbers, np.array(positions, np.float32), bonds, orders, charges)
