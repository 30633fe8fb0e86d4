"""Distances between distributions of scalar properties, on raw values (no bins)."""

import numpy as np
from scipy.stats import wasserstein_distance

HARTREE_IN_KCAL_PER_MOL = 627.5094740631
"""CODATA 2018."""


def energy_per_atom_wasserstein(samples: np.ndarray, reference: np.ndarray) -> float | None:
    """First Wasserstein distance between energies per atom.

    Args:
        samples: [N] hartree per atom; NaN where the calculation failed (report the share of failures beside it).
        reference: [R] hartree per atom, likewise.

    Returns:
        kcal/mol per atom; None if either side has no value.
    """
    samples, reference = (np.asarray(x, float)[np.isfinite(np.asarray(x, float))] for x in (samples, reference))
    if not len(samples) or not len(reference):
        return None
    return float(wasserstein_distance(samples, reference)) * HARTREE_IN_KCAL_PER_MOL
