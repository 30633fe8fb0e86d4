"""All atom pairs within molecules, as flat indices."""

from collections.abc import Iterator

import numpy as np

from latent3d.molecules.molecules import Molecules

_PAIRS_AT_ONCE = 2_000_000


def all_pairs(molecules: Molecules, max_atoms: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Flat indices (first < second) of all atom pairs within molecules, in batches of molecules of equal size.

    Nothing is padded. Molecules of more than `max_atoms` atoms are left out, so that a file cannot exhaust the memory.
    """
    counts = molecules.atom_counts
    for size in np.unique(counts[(counts > 1) & (counts <= max_atoms)]):
        first, second = np.triu_indices(size, k=1)
        starts = molecules.atom_offsets[:-1][counts == size]
        step = max(1, _PAIRS_AT_ONCE // len(first))
        for i in range(0, len(starts), step):
            begin = starts[i : i + step, None]
            yield (begin + first).ravel(), (begin + second).ravel()


def pair_distances(molecules: Molecules, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[P] float64, angstrom; NaN where a coordinate is."""
    # float64, since thresholds are compared with a strict <.
    difference = molecules.positions[first].astype(np.float64) - molecules.positions[second]
    return np.sqrt(np.einsum("px,px->p", difference, difference))
