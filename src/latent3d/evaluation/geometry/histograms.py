"""Bond lengths, bond angles and torsions of samples against those of the reference, type by type.

Values are counted on fixed fine grids: the counts of chunks add up, a million molecules take megabytes, and all sets
of samples are compared on the same terms.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from latent3d.data.molecules.internal_coordinates import internal_coordinates
from latent3d.data.molecules.molecules import Molecules

MIN_OCCURRENCES = 30
"""Rarer types of the reference are not compared: too few values for a distribution or a kernel width."""

KERNEL_WIDTHS = (0.5, 1.0, 2.0)
"""Gaussian kernels for lengths and angles, in standard deviations of the reference's values of the type."""
MIN_DEVIATION = 4
"""Grid steps; a type that varies less (a rigid one) gets kernels of this standard deviation."""
KAPPAS = (1.0, 4.0, 16.0, 64.0)
"""Kernels exp(kappa (cos d - 1)) for torsions, about 57, 29, 14 and 7 degrees wide."""

_POINT_BITS = 13
"""A cell is a type key (below 2^41) and, in its lowest bits, a grid point."""


@dataclass(frozen=True)
class Grid:
    """Grid points 0, step, 2 step, ... on which values of one quantity are counted.

    Attributes:
        name: of the quantity; its metrics are `{name}_wasserstein`, `{name}_mmd` and `{name}_coverage`.
        step: angstrom or degrees.
        points: number of grid points; values beyond the last count there.
        cap: highest Wasserstein distance of a type, and that of a type which the samples lack.
        periodic: the point after the last is the first.
    """

    name: str
    step: float
    points: int
    cap: float
    periodic: bool = False

    def nearest(self, values: np.ndarray) -> np.ndarray:
        """[N] int64, the grid point nearest to each value."""
        points = np.rint(values / self.step)
        points = points % self.points if self.periodic else np.minimum(points, self.points - 1)
        return points.astype(np.int64)


LENGTHS = Grid("bond_length", 0.001, 4001, 1.0)
ANGLES = Grid("bond_angle", 0.1, 1801, 90.0)
TORSIONS = Grid("torsion", 0.5, 720, 90.0, periodic=True)
GRIDS = (LENGTHS, ANGLES, TORSIONS)


@dataclass(frozen=True)
class Counts:
    """Occurrences of each type at each grid point, those that occur alone (sparse).

    Attributes:
        cells: [C] int64, sorted: type key and grid point in one integer.
        counts: [C] int64, positive.
    """

    cells: np.ndarray
    counts: np.ndarray

    def types(self) -> tuple[np.ndarray, np.ndarray]:
        """Type keys [T] int64, sorted, and occurrences of each [T] int64."""
        return _sums(self.cells >> _POINT_BITS, self.counts)

    def dense(self, types: np.ndarray, points: int) -> np.ndarray:
        """[T, points] float64, the counts of the given (sorted) types."""
        keys, grid_points = self.cells >> _POINT_BITS, self.cells & ((1 << _POINT_BITS) - 1)
        known = np.isin(keys, types)
        counts = np.zeros((len(types), points))
        counts[np.searchsorted(types, keys[known]), grid_points[known]] = self.counts[known]
        return counts


@dataclass(frozen=True)
class GeometryHistogram:
    """Bond lengths, bond angles and torsions of a set of molecules, counted by type; one `Counts` per name of GRIDS."""

    by_name: Mapping[str, Counts]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """`{name}_cells` and `{name}_counts` for every name, int64."""
        return {
            f"{name}_{part}": getattr(counts, part)
            for name, counts in self.by_name.items()
            for part in ("cells", "counts")
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "GeometryHistogram":
        """The histogram of which `to_arrays` gave these."""
        return cls({g.name: Counts(arrays[f"{g.name}_cells"], arrays[f"{g.name}_counts"]) for g in GRIDS})


def measure(molecules: Molecules, bond_kinds: np.ndarray, usable: np.ndarray) -> GeometryHistogram:
    """Count the bond lengths, bond angles and torsions of the usable molecules. What is not defined is left out.

    Args:
        molecules: M molecules with B bonds in all.
        bond_kinds: [B] 1, 2, 3 or AROMATIC (4).
        usable: [M] bool, those with a graph that sanitises and finite coordinates.

    Raises:
        ValueError: a usable molecule has a coordinate that is not finite.
    """
    parts: dict[str, list[Counts]] = {grid.name: [] for grid in GRIDS}
    for block in internal_coordinates(molecules, bond_kinds, usable):
        for grid in GRIDS:
            parts[grid.name].append(_count(grid, *block[grid.name]))
    return GeometryHistogram({name: _merged(counts) for name, counts in parts.items()})


def merge(parts: Iterable[GeometryHistogram]) -> GeometryHistogram:
    """The histogram of all molecules of all parts."""
    parts = list(parts)
    return GeometryHistogram({grid.name: _merged([part.by_name[grid.name] for part in parts]) for grid in GRIDS})


def distances(samples: GeometryHistogram, reference: GeometryHistogram) -> dict[str, float | None]:
    """How far samples are from the reference, averaged over its types.

    A type weighs as much as it is frequent in the reference, among those with MIN_OCCURRENCES there; types that only
    the samples have do not count. One that the samples lack costs the cap of the Wasserstein distance, and 1 of the
    squared maximum mean discrepancy; no type costs more, so that leaving out what is hard never pays. For the same
    reason samples without a single usable molecule get the caps, not null.

    Returns:
        For each name of GRIDS `{name}_wasserstein` (angstrom or degrees), `{name}_mmd` (at most 1; below 0 by chance
        where both are alike) and `{name}_coverage`, the fraction of the reference's values whose type the samples
        have. None where the reference has no type to compare.
    """
    found: dict[str, float | None] = {}
    for grid in GRIDS:
        metrics = _distances(grid, samples.by_name[grid.name], reference.by_name[grid.name])
        found |= {f"{grid.name}_{metric}": value for metric, value in metrics.items()}
    return found


def _distances(grid: Grid, samples: Counts, reference: Counts) -> dict[str, float | None]:
    types, occurrences = reference.types()
    types, occurrences = types[occurrences >= MIN_OCCURRENCES], occurrences[occurrences >= MIN_OCCURRENCES]
    if not len(types):
        return {"wasserstein": None, "mmd": None, "coverage": None}
    x, y = samples.dense(types, grid.points), reference.dense(types, grid.points)
    present = x.any(axis=1)
    wasserstein, mmd = np.full(len(types), grid.cap), np.ones(len(types))
    wasserstein[present] = np.minimum(_wasserstein(grid, x[present], y[present]), grid.cap)
    mmd[present] = np.minimum(_squared_mmd(grid, x[present], y[present]), 1.0)
    return {
        metric: float(np.average(by_type, weights=occurrences))
        for metric, by_type in (("wasserstein", wasserstein), ("mmd", mmd), ("coverage", present))
    }


def _wasserstein(grid: Grid, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[T] first Wasserstein distances between counts [T, points].

    On the circle the cumulative functions may start anywhere, which adds a constant to their difference; the median
    is the constant of least cost (Rabin, Delon and Gousseau 2011).
    """
    difference = np.cumsum(_frequencies(x) - _frequencies(y), axis=1)
    if grid.periodic:
        difference -= np.median(difference, axis=1, keepdims=True)
    return np.abs(difference).sum(axis=1) * grid.step


def _squared_mmd(grid: Grid, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[T] unbiased squared maximum mean discrepancies (Gretton et al. 2012, eq. 3) between counts [T, points].

    The unbiased mean over pairs of samples needs two; a single one is compared with itself, as in the biased one.
    """
    p, q = _frequencies(x), _frequencies(y)
    kernel = _kernel(grid, q)
    length = kernel.shape[1]
    spectrum = rfft(kernel, axis=1)

    def mean_kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        smooth = irfft(rfft(b, length, axis=1) * spectrum, length, axis=1)[:, : grid.points]
        return np.einsum("tg,tg->t", a, smooth)

    def mean_of_pairs(frequencies: np.ndarray, n: np.ndarray) -> np.ndarray:
        # k(x, x) = 1 of each value with itself is taken out.
        return np.where(n > 1, (n * mean_kernel(frequencies, frequencies) - 1) / np.maximum(n - 1, 1), 1.0)

    return mean_of_pairs(p, x.sum(axis=1)) + mean_of_pairs(q, y.sum(axis=1)) - 2 * mean_kernel(p, q)


def _kernel(grid: Grid, reference: np.ndarray) -> np.ndarray:
    """[T or 1, L] kernel by distance in grid steps, wrapped around; L leaves no overlap unless the grid is periodic."""
    if grid.periodic:
        versine = 1 - np.cos(2 * np.pi * np.arange(grid.points) / grid.points)
        return np.mean([np.exp(-kappa * versine) for kappa in KAPPAS], axis=0)[None]
    length = next_fast_len(2 * grid.points - 1, real=True)
    steps = np.minimum(np.arange(length), length - np.arange(length))
    points = np.arange(grid.points)
    mean = reference @ points
    deviation = np.sqrt((reference * (points - mean[:, None]) ** 2).sum(axis=1)).clip(min=MIN_DEVIATION)[:, None]
    return np.mean([np.exp(-0.5 * (steps / (width * deviation)) ** 2) for width in KERNEL_WIDTHS], axis=0)


def _frequencies(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum(axis=1, keepdims=True)


def _count(grid: Grid, types: np.ndarray, values: np.ndarray) -> Counts:
    """Occurrences of each type at each grid point. NaN is a value that is not defined."""
    defined = ~np.isnan(values)
    return Counts(*np.unique(types[defined] << _POINT_BITS | grid.nearest(values[defined]), return_counts=True))


def _merged(parts: Sequence[Counts]) -> Counts:
    parts = [Counts(np.zeros(0, np.int64), np.zeros(0, np.int64)), *parts]
    return Counts(*_sums(np.concatenate([p.cells for p in parts]), np.concatenate([p.counts for p in parts])))


def _sums(keys: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct keys, sorted, and the sum of the counts of each."""
    distinct, index = np.unique(keys, return_inverse=True)
    return distinct, np.bincount(index, counts, len(distinct)).astype(np.int64)
