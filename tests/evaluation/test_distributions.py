import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from latent3d.evaluation import registry
from latent3d.evaluation.distribution.distances import descriptor_distances, size_weights

RNG = np.random.default_rng(0)
REFERENCE = RNG.normal(size=4000)
NAMES = ("total_variation", "hellinger", "wasserstein", "max_bin")


def test_names_are_those_of_the_registry():
    expected = {f"{d}_{name}{m}" for d in registry.DESCRIPTORS for name in NAMES for m in ("", "_matched")}
    assert expected == {quantity.name for quantity in registry.DESCRIPTOR_DISTANCES} - {"size_matched_coverage"}
    assert tuple(descriptor_distances(REFERENCE, REFERENCE)) == NAMES


def test_a_permuted_copy_is_at_no_distance():
    assert descriptor_distances(RNG.permutation(REFERENCE), REFERENCE) == pytest.approx(dict.fromkeys(NAMES, 0.0))


def test_by_hand():
    # Bins of width 1 from 0 to 98: half of the samples in the first one, a quarter below, a quarter above.
    reference = np.arange(99.0)  # the last bin is closed and holds two values
    found = descriptor_distances(np.array([0.5, 0.5, -3.0, 200.0]), reference)
    q = np.array([1 / 99] * 97 + [2 / 99])
    assert found["total_variation"] == pytest.approx((0.25 + 0.25 + (0.5 - q[0]) + q[1:].sum()) / 2)
    overlap = np.sqrt(0.5 * q[0])
    assert found["hellinger"] == pytest.approx(np.sqrt(1 - overlap))
    # Pooled bins from -3 to 200 are 203/99 wide: both 0.5 are in the second one with 0 and 1.
    assert found["max_bin"] == pytest.approx(0.5 - 2 / 99)
    assert found["wasserstein"] == pytest.approx(wasserstein_distance([0.5, 0.5, -3.0, 200.0], reference))


def test_apart():
    found = descriptor_distances(REFERENCE + 100, REFERENCE)
    assert found["total_variation"] == pytest.approx(1)
    assert found["hellinger"] == pytest.approx(1)
    assert found["wasserstein"] == pytest.approx(100)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5, 2.0])
def test_inequalities(shift):
    found = descriptor_distances(RNG.normal(shift, 1 + shift, size=3000), REFERENCE)
    variation, hellinger = found["total_variation"], found["hellinger"]
    assert hellinger**2 <= variation <= np.sqrt(2) * hellinger
    assert found["wasserstein"] > 0


def test_max_bin_is_at_most_total_variation_on_the_same_bins():
    samples = RNG.uniform(-3, 3, size=1000)
    edges = np.linspace(min(samples.min(), REFERENCE.min()), max(samples.max(), REFERENCE.max()), 100)
    p, q = (np.histogram(x, edges)[0] / len(x) for x in (samples, REFERENCE))
    found = descriptor_distances(samples, REFERENCE)["max_bin"]
    assert found == pytest.approx(np.abs(p - q).max())
    assert found <= np.abs(p - q).sum() / 2


def test_an_outlier_spoils_pooled_bins_alone():
    samples = np.append(RNG.normal(2, 1, size=3999), 1e6)
    found = descriptor_distances(samples, REFERENCE)
    assert found["max_bin"] < 1e-3
    assert found["total_variation"] > 0.5


def test_weights_are_copies():
    samples, copies = RNG.normal(0.3, 1, size=500), RNG.integers(0, 4, size=500)
    weighted = descriptor_distances(samples, REFERENCE, copies / 7)
    assert weighted == pytest.approx(descriptor_distances(np.repeat(samples, copies), REFERENCE))


def test_wasserstein_scales_and_bins_do_not():
    samples = RNG.normal(0.3, 1, size=500)
    small, large = descriptor_distances(samples, REFERENCE), descriptor_distances(8 * samples, 8 * REFERENCE)
    assert large == pytest.approx(small | {"wasserstein": 8 * small["wasserstein"]})


def test_nothing_to_compare_is_missing():
    none = dict.fromkeys(NAMES)
    assert descriptor_distances(np.zeros(0), REFERENCE) == none
    assert descriptor_distances(REFERENCE, np.zeros(0)) == none
    assert descriptor_distances(np.ones(2), REFERENCE, np.zeros(2)) == none


def test_a_constant_reference():
    assert descriptor_distances(np.full(3, 5.0), np.full(9, 5.0)) == dict.fromkeys(NAMES, 0.0)
    found = descriptor_distances(np.array([5.0, 5.0, 4.0, 7.0]), np.full(9, 5.0))
    assert found["total_variation"] == pytest.approx(0.5)
    assert found["wasserstein"] == pytest.approx(0.75)


def test_size_weights_by_hand():
    weights, coverage = size_weights(np.array([5, 5, 5, 6, 9]), np.array([5, 6, 6, 7]))
    # p_reference / p_samples: 5: .25/.6, 6: .5/.2, 9: 0; size 7 is out of reach.
    np.testing.assert_allclose(weights, np.array([1, 1, 1, 6, 0]) / 9)
    assert coverage == 0.75


def test_matching_sizes_removes_what_sizes_explain():
    sizes, others = RNG.integers(4, 10, size=3000), RNG.integers(6, 12, size=3000)
    weights, coverage = size_weights(others, sizes)
    assert coverage == pytest.approx(np.isin(sizes, others).mean())
    matched = np.bincount(others, weights, minlength=12)[6:10]
    np.testing.assert_allclose(matched, np.bincount(sizes, minlength=12)[6:10] / np.isin(sizes, others).sum())


def test_sizes_in_common_are_needed():
    weights, coverage = size_weights(np.array([3, 3]), np.array([8]))
    assert weights.tolist() == [0, 0] and coverage == 0
    assert size_weights(np.zeros(0, int), np.array([8]))[1] == 0
    assert size_weights(np.array([3]), np.zeros(0, int))[1] is None
