import math

import numpy as np
import pytest
import scipy.stats

from latent3d.evaluation import intervals
from latent3d.evaluation.intervals import (
    bootstrap_means,
    bootstrap_ratio,
    distinct_interval,
    fold_interval,
    median_interval,
    wilson,
)

TRIALS = 400


# Newcombe, Statistics in Medicine 1998, 17, 857, table I, method 3 (score without continuity correction).
@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_equals_published_values(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)
    assert wilson(n - successes, n) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_wilson_equals_scipy():
    for successes, n in ((0, 1), (1, 1), (7, 13), (0, 10_000), (9_999, 10_000), (12_345, 20_000)):
        expected = scipy.stats.binomtest(successes, n).proportion_ci(0.95, "wilson")
        assert wilson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_refuses_what_is_no_rate():
    for successes, n in ((1, 0), (-1, 5), (6, 5)):
        with pytest.raises(ValueError):
            wilson(successes, n)


@pytest.mark.parametrize("n", [14, 100, 10_000])
def test_no_failures(n):
    low, upper = wilson(0, n)
    # Not below the rule of three, nor below the one-sided 95 % limit that it approximates; not twice as wide either.
    assert low == 0 and 1 - 0.05 ** (1 / n) < 3 / n < upper < 4 / n


def molecules(random, n):
    """Stable atoms and atoms of n molecules: half of the molecules have no bad atom, in the others many go together."""
    atoms = random.integers(5, 30, n)
    stable = random.binomial(atoms, np.where(random.random(n) < 0.5, 1.0, random.beta(6, 2, n)))
    return stable, atoms


SHARE = (1 + 6 / 8) / 2


def covers(interval, truth):
    return interval[0] <= truth <= interval[1]


def test_means_are_covered():
    random = np.random.default_rng(0)
    found = [bootstrap_means(random.gamma(2, 1, (200, 4)), draws=1000, seed=i) for i in range(TRIALS // 4)]
    covered = [covers(interval, 2.0) for four in found for interval in four]
    assert 0.92 <= np.mean(covered) <= 0.98


@pytest.mark.parametrize("n", [200, 25_000])
def test_shares_of_atoms_are_covered(n):
    assert (n > intervals.MAX_RESAMPLED) == (n == 25_000)
    random = np.random.default_rng(0)
    found = [bootstrap_ratio(*molecules(random, n), draws=1000, seed=i) for i in range(TRIALS)]
    assert 0.92 <= np.mean([covers(interval, SHARE) for interval in found]) <= 0.98


def test_atoms_are_not_independent():
    stable, atoms = molecules(np.random.default_rng(1), 2000)
    low, high = bootstrap_ratio(stable, atoms)
    # Wilson's interval of the atoms, as if each were a sample of its own, is far too narrow.
    narrow = wilson(int(stable.sum()), int(atoms.sum()))
    assert high - low > 1.5 * (narrow[1] - narrow[0])


def test_the_bootstrap_equals_an_independent_one():
    random = np.random.default_rng(2)
    values = random.lognormal(0, 1, 60)
    expected = scipy.stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=3)
    width = np.ptp(expected.confidence_interval)
    found = bootstrap_means(values[:, None], draws=20_000)[0]
    np.testing.assert_allclose(found, expected.confidence_interval, atol=0.03 * width)
    stable, atoms = molecules(random, 60)
    expected = scipy.stats.bootstrap(
        (stable, atoms), lambda a, b, axis: a.sum(axis) / b.sum(axis), paired=True, method="percentile",
        n_resamples=20_000, rng=3,
    ).confidence_interval  # fmt: skip
    np.testing.assert_allclose(bootstrap_ratio(stable, atoms, 20_000), expected, atol=0.03 * np.ptp(expected))


def test_the_normal_limit_joins_the_bootstrap(monkeypatch):
    random = np.random.default_rng(4)
    values, (stable, atoms) = random.gamma(2, 1, (5000, 2)), molecules(random, 5000)
    drawn = bootstrap_means(values), np.array(bootstrap_ratio(stable, atoms))
    monkeypatch.setattr(intervals, "MAX_RESAMPLED", 0)
    limit = bootstrap_means(values), np.array(bootstrap_ratio(stable, atoms))
    for a, b in zip(drawn, limit, strict=True):
        np.testing.assert_allclose(a, b, atol=0.03 * np.ptp(b, axis=-1).max())


def test_repeats_are_equal_and_seeds_are_not():
    values = np.random.default_rng(5).normal(size=(300, 3))
    np.testing.assert_array_equal(bootstrap_means(values, seed=7), bootstrap_means(values, seed=7))
    assert (bootstrap_means(values, seed=7) != bootstrap_means(values, seed=8)).all()
    # All columns see the same resamples.
    together = bootstrap_means(values, seed=7)
    np.testing.assert_allclose(together[:, 1:], bootstrap_means(values[:, ::-1], seed=7)[::-1, 1:], rtol=1e-12)


def test_large_numbers_of_molecules_and_large_means():
    values = np.random.default_rng(6).normal(1e6, 1e-3, (1_000_000, 2))
    half = 1.96 * values.std() / 1000
    np.testing.assert_allclose(bootstrap_means(values) - values.mean(axis=0)[:, None], [[-half, half]] * 2, rtol=0.02)
    few = bootstrap_means(values[:1000]) - values[:1000].mean(axis=0)[:, None]
    np.testing.assert_allclose(np.ptp(few, axis=1), 2 * 1.96 * 1e-3 / math.sqrt(1000), rtol=0.1)


def test_shares_without_variation_are_not_certain():
    atoms = np.array([5, 9, 0, 12])
    assert bootstrap_ratio(atoms, atoms) == wilson(3, 3)
    assert bootstrap_ratio(0 * atoms, atoms) == wilson(0, 3)
    # Most resamples of three molecules without atoms and one with some have no share; the others have that one.
    assert bootstrap_ratio([0, 0, 0, 3], [0, 0, 0, 4]) == (0.75, 0.75)


def test_what_cannot_be_resampled_is_refused():
    for values in (np.zeros((0, 2)), [[1.0], [np.nan]], [[np.inf]]):
        with pytest.raises(ValueError):
            bootstrap_means(np.asarray(values))
    for part, whole in (([0], [0]), ([2], [1]), ([-1], [1]), ([], []), ([np.nan], [1])):
        with pytest.raises(ValueError):
            bootstrap_ratio(np.array(part), np.array(whole))


@pytest.mark.parametrize("kinds", [50, 1000, 20_000, 1_000_000, 10**9])
@pytest.mark.parametrize("valid", [1.0, 0.6])
def test_uniqueness_is_covered(kinds, valid):
    random = np.random.default_rng(9)
    shares, intervals_, n = [], [], 1000
    for _ in range(TRIALS):
        _, occurrences = np.unique(random.integers(0, kinds, random.binomial(n, valid)), return_counts=True)
        shares.append(len(occurrences) / n)
        intervals_.append(distinct_interval(occurrences, n))
    assert np.mean([covers(interval, np.mean(shares)) for interval in intervals_]) >= 0.93
    # Wilson's interval of a rate is the widest that it can be.
    assert np.ptp(intervals_, axis=1).max() <= np.ptp(wilson(n // 2, n)) + 1e-12


def test_uniqueness_at_its_ends():
    assert distinct_interval([1] * 50, 50) == wilson(50, 50)
    assert distinct_interval([1] * 30, 50) == wilson(30, 50)
    assert distinct_interval([], 50) == wilson(0, 50)
    # All the same: no other molecule seen, as no failure seen.
    assert distinct_interval([50], 50) == pytest.approx((0.02, 0.02 + wilson(0, 50)[1]))
    for occurrences, n in (([1, 1], 1), ([], 0)):
        with pytest.raises(ValueError):
            distinct_interval(occurrences, n)


def wasserstein(sample):
    reference = scipy.stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    return scipy.stats.wasserstein_distance(sample, reference)


def frechet(sample):
    """Squared Frechet distance of a Gaussian fitted to a sample [n, d] to the normal distribution."""
    deviations = np.sqrt(np.linalg.eigvalsh(np.cov(sample.T)))
    return float((sample.mean(axis=0) ** 2).sum() + ((deviations - 1) ** 2).sum())


@pytest.mark.parametrize(
    ("value", "shift", "width", "shape", "limits"),
    [
        (wasserstein, 0.3, 1.2, (1000,), (0.92, 0.98)),
        (wasserstein, 0.0, 1.0, (1000,), (0.92, 0.98)),
        (frechet, 0.2, 1.1, (1000, 4), (0.92, 0.98)),
        # At its floor the variance of the Frechet distance falls faster than 1 / n.
        (frechet, 0.0, 1.0, (1000, 4), (0.98, 1.0)),
    ],
)
def test_set_values_are_covered(value, shift, width, shape, limits):
    random = np.random.default_rng(8)
    wholes, found = [], []
    for _ in range(TRIALS):
        sample = random.normal(shift, width, shape)
        wholes.append(value(sample))
        found.append(fold_interval(wholes[-1], [value(part) for part in np.split(sample, 5)]))
    coverage = np.mean([covers(interval, np.mean(wholes)) for interval in found])
    assert limits[0] <= coverage <= limits[1]
    # Twice 1.96 standard deviations if they were known; 1.42 times that by Student's t with four degrees of freedom.
    relative = np.median(np.ptp(found, axis=1)) / np.std(wholes)
    assert 4 < relative < (7 if shift else 6 * 5**0.5)


def test_fold_interval_by_hand():
    # s = 1, t(0.975, 2) = 4.302653
    assert fold_interval(10.0, [1.0, 2.0, 3.0]) == pytest.approx((10 - 4.302653 / 3**0.5, 10 + 4.302653 / 3**0.5))
    assert fold_interval(1.0, [1.0] * 5) == (1.0, 1.0)
    assert fold_interval(1.0, [1.0]) is None
    assert fold_interval(1.0, [1.0, None, 1.0]) is None


def test_median_interval_is_the_exact_one():
    # Three or fewer of 16 lie below the median with (1 + 16 + 120 + 560) / 2^16 = 1.06 %, four or fewer with 3.8 %.
    assert median_interval(np.arange(1, 17)) == (4, 13)
    assert median_interval(np.arange(1, 7)) == (1, 6)
    assert median_interval(np.arange(5)) is None and median_interval(np.zeros(0)) is None
    assert median_interval([np.inf] * 3 + [1.0] * 7) == (1.0, np.inf)


@pytest.mark.parametrize("n", [6, 7, 40, 1001])
def test_median_interval_equals_scipy(n):
    values = np.random.default_rng(n).normal(size=n)
    expected = scipy.stats.quantile_test(values, q=0, p=0.5).confidence_interval(0.95)
    assert median_interval(values) == (expected.low, expected.high)


def test_median_interval_covers():
    random = np.random.default_rng(0)
    limits = np.array([median_interval(random.exponential(size=41)) for _ in range(2000)])
    covered = ((limits[:, 0] <= np.log(2)) & (np.log(2) <= limits[:, 1])).mean()
    assert 0.95 <= covered < 0.98
