"""Atom pairs within molecules that are close to each other, as flat indices."""

from collections.abc import Iterator

import numpy as np

from latent3d.data.molecules.molecules import Molecules

_PAIRS_AT_ONCE = 30_000
"""Few enough for the processor's cache."""

_SLACK = 1 + 1e-5
"""Widens the float32 search by more than its rounding."""


def close_pairs(
    molecules: Molecules, reach: np.ndarray, max_atoms: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Flat indices [P] (first < second) and distances [P] of all atom pairs within molecules that are in reach.

    In reach means a distance of at most the smaller of the two atoms' `reach`, up to a relative 1e-5: a pair just
    beyond may come too, none within is missed, so that callers compare the exact distances (float64) themselves. A NaN
    coordinate is close to nothing. Nothing is padded: batches hold molecules of equal size.

    Args:
        molecules: M molecules, A atoms.
        reach: [A] angstrom.
        max_atoms: molecules of more atoms are left out, so that a file cannot exhaust the memory.
    """
    counts, positions = molecules.atom_counts, molecules.positions
    limits = (_SLACK * reach).astype(np.float32) ** 2
    for size in np.unique(counts[(counts > 1) & (counts <= max_atoms)]):
        i, j = np.triu_indices(size, k=1)
        starts = molecules.atom_offsets[:-1][counts == size]
        step = max(1, _PAIRS_AT_ONCE // len(i))
        for k in range(0, len(starts), step):
            atoms = starts[k : k + step] + np.arange(size)[:, None]  # [size, molecules]
            limit = limits[atoms]
            near = _squared_distances(positions[atoms], i, j) <= np.minimum(limit[i], limit[j])
            # Faster than nonzero of two dimensions.
            pair, molecule = np.divmod(np.flatnonzero(near), near.shape[1])
            first, second = atoms[i[pair], molecule], atoms[j[pair], molecule]
            difference = positions[first].astype(np.float64) - positions[second]
            yield first, second, np.sqrt(np.einsum("px,px->p", difference, difference))


def _squared_distances(positions: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """[pairs, molecules] float32, of positions [atoms, molecules, 3]; NaN or infinite where a coordinate is."""
    total = np.zeros((len(i), positions.shape[1]), np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        for x in positions.transpose(2, 0, 1).copy():
            difference = x[i]
            difference -= x[j]
            difference *= difference
            total += difference
    return total
