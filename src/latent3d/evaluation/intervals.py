"""95 % confidence intervals: of rates, of means over molecules, and of values that only a whole set has.

Molecules are taken as independent draws. The atoms of a molecule are not, so that shares of atoms are resampled by
molecule.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from scipy.special import stdtrit
from scipy.stats import binom

DRAWS = 10_000
"""Bootstrap resamples."""

MAX_RESAMPLED = 20_000
"""Above so many molecules the bootstrap is replaced by its limit, the normal distribution of a mean (delta method for
ratios). Resampling them would take seconds per value and change little: the two differ by the skewness of the mean,
which falls as 1 / sqrt(N)."""

_Z = NormalDist().inv_cdf(0.975)
_INTEGERS_AT_ONCE = 500_000


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson score interval of a rate (Wilson 1927, without continuity correction).

    SciPy's `binomtest(...).proportion_ci` gives the same to 2e-16, in 1.5 ms instead of 3 microseconds: it tests first.
    Holds for no failures as well: the failure rate's upper limit is then 3.84 / (n + 3.84), above the 3 / n of the rule
    of three (a one-sided bound) for n of 14 and more. No case needs that rule.

    Raises:
        ValueError: n is not positive, or successes is not within 0 and n.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is not a rate")
    p = successes / n
    centre = (p + _Z * _Z / (2 * n)) / (1 + _Z * _Z / n)
    half = _Z / (1 + _Z * _Z / n) * math.sqrt(p * (1 - p) / n + _Z * _Z / (4 * n * n))
    # The limits are exactly 0 and 1 at the ends; rounding would leave 1e-17.
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == n else centre + half)


def bootstrap_means(values: np.ndarray, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """[K, 2] percentile bootstrap intervals of the means over N molecules (normal ones above MAX_RESAMPLED).

    All columns are resampled alike. A column without variation gets an interval of no width: its molecules say nothing
    of how others may differ. Where that matters it is a rate, and `wilson` is the interval.

    Args:
        values: [N, K].
        draws: number of resamples.
        seed: of the resampling.

    Raises:
        ValueError: there is no molecule, or a value is not finite.
    """
    values = np.asarray(values, float)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"means of {len(values)} values, {np.count_nonzero(~np.isfinite(values))} of them not finite")
    means = values.mean(axis=0)
    if len(values) > MAX_RESAMPLED:
        half = _Z * values.std(axis=0, ddof=1) / math.sqrt(len(values))
        return np.stack([means - half, means + half], axis=1)
    # Deviations from the mean: sums of small numbers lose no digits.
    deviations = _resampled_sums(values - means, draws, seed) / len(values)
    return (means + np.quantile(deviations, (0.025, 0.975), axis=0)).T


def bootstrap_ratio(
    numerators: np.ndarray, denominators: np.ndarray, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of sum(numerators) / sum(denominators) over N molecules: stable atoms / atoms.

    Resamples molecules; above MAX_RESAMPLED of them the delta method takes over. Where every molecule has a share of 0,
    or every one of 1, resampling gives no width: then Wilson's interval of the molecules is returned, which is right if
    the atoms of a molecule share one fate, and wide otherwise.

    Args:
        numerators: [N], each within 0 and its denominator.
        denominators: [N]; 0 for a molecule that has nothing to count.
        draws: number of resamples.
        seed: of the resampling.

    Raises:
        ValueError: a numerator is out of its bounds, or all denominators are 0.
    """
    part, whole = np.asarray(numerators, float), np.asarray(denominators, float)
    if not ((part >= 0) & (part <= whole)).all() or not whole.any():
        raise ValueError("shares need numerators within 0 and their denominators, which cannot all be 0")
    n = len(whole)
    share = float(part.sum() / whole.sum())
    if share in (0, 1):
        counted = int(np.count_nonzero(whole))
        return wilson(counted if share else 0, counted)
    if n > MAX_RESAMPLED:
        half = _Z * float((part - share * whole).std(ddof=1) / whole.mean()) / math.sqrt(n)
        return max(0.0, share - half), min(1.0, share + half)
    sums = _resampled_sums(np.stack([part, whole], axis=1), draws, seed)
    drawn = sums[sums[:, 1] > 0]  # a resample of nothing but empty molecules has no share
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], (0.025, 0.975))
    return float(low), float(high)


def median_interval(values: np.ndarray) -> tuple[float, float] | None:
    """Interval of the median between two order statistics: exact for any distribution, infinite values included.

    The number of values below the median is binomial, (n, 1/2); ranks j and n + 1 - j hold it with at least 95 %.
    SciPy's `quantile_test` has the same interval and takes twelve times as long.

    Args:
        values: [n], no NaN.

    Returns:
        (low, high); None for fewer than six values, of which no two hold the median so surely.
    """
    n = len(values)
    rank = int(binom.ppf(0.025, n, 0.5))
    if rank < 1:
        return None
    ordered = np.sort(np.asarray(values, float))
    return float(ordered[rank - 1]), float(ordered[n - rank])


def distinct_interval(occurrences: Sequence[int], n: int) -> tuple[float, float]:
    """Interval of the share D / n of distinct items among n molecules (uniqueness, V&U, V&U&N).

    Leaving out a molecule costs an item if no other molecule has it. The jackknife's variance of D / n is therefore
    that of a rate, of the molecules that are alone with their item: Wilson's interval of that rate, moved to D / n. On
    average it is too wide rather than too narrow (Efron and Stein, Annals of Statistics 1981, 9, 586), by a factor of
    sqrt(2) where duplicates are rare; where there are none it is Wilson's interval itself.

    Not `fold_interval`: a part of n / K molecules has 1 / K² of the pairs that can coincide, not 1 / K; with few
    duplicates its interval is sqrt(K) times too narrow, and of no width where no fold has any.

    Args:
        occurrences: [D] how many molecules have each item; at most n in all (invalid molecules have none).
        n: number of molecules.

    Raises:
        ValueError: n is not positive or smaller than the sum.
    """
    occurrences = np.asarray(occurrences, int)
    if occurrences.sum() > n:
        raise ValueError(f"{occurrences.sum()} occurrences among {n} molecules")
    alone = int((occurrences == 1).sum())
    low, high = wilson(alone, n)
    repeated = (len(occurrences) - alone) / n
    return low + repeated, min(1.0, high + repeated)


def fold_interval(whole: float, folds: Sequence[float | None]) -> tuple[float, float] | None:
    """Interval of a value of a whole set (FCD, Wasserstein distance, MMD) from its values on K disjoint folds.

    whole ± t(0.975, K - 1) s / sqrt(K), with s the standard deviation of the folds: they are independent samples of
    n / K molecules, and where the variance of a value goes as 1 / n, that of the whole is s² / K. (Where samples and
    reference have one distribution that of FCD goes as 1 / n²: the interval is then too wide.) Resampling with
    replacement would not do: of n different molecules 63 % are in a resample, some many times, so that the values of
    resamples lie beside the value instead of around it.

    What remains: such a value depends on n (FCD falls with it). Folds show that as an offset of their mean, which is
    not used; the interval is about the expected value *at this n*, so that only systems of equal n can be compared.
    Few folds know their spread badly, for which t pays with width: 2.8 s / sqrt(5) for five.

    Args:
        whole: the value of all molecules together.
        folds: the value on each fold of equal size; None where it is not defined.

    Returns:
        (low, high), not clipped to the value's range; None if there are fewer than two folds or one has no value.
    """
    if len(folds) < 2 or any(fold is None for fold in folds):
        return None
    half = float(stdtrit(len(folds) - 1, 0.975)) * float(np.std(folds, ddof=1)) / math.sqrt(len(folds))
    return whole - half, whole + half


def _resampled_sums(values: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """[draws, K] sums of N rows of values [N, K] drawn with replacement: products with multinomial weights."""
    n = len(values)
    random = np.random.default_rng(seed)
    rows = max(1, _INTEGERS_AT_ONCE // n)
    sums = np.empty((draws, values.shape[1]))
    for start in range(0, draws, rows):
        drawn = random.integers(0, n, (min(rows, draws - start), n))
        weights = np.array([np.bincount(indices, minlength=n) for indices in drawn], float)
        sums[start : start + rows] = weights @ values
    return sums
