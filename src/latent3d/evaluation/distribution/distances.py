"""Distances between distributions of scalar properties."""

import numpy as np
from scipy.stats import wasserstein_distance

REFERENCE_BINS = 98
"""Bins between the reference's minimum and maximum; one more on either side takes what lies outside."""

POOLED_BINS = 99
"""Bins between the pooled minimum and maximum, as LDM-3DG has them (100 edges)."""


def descriptor_distances(
    samples: np.ndarray, reference: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, float | None]:
    """Four distances between the distributions of one descriptor.

    With p and q the fractions per bin: `total_variation` ½Σ|p-q| and `hellinger` ‖√p-√q‖₂/√2 on bins fixed on the
    reference, so that an outlier among the samples cannot stretch them; `wasserstein` (first, in the descriptor's
    unit) on raw values; `max_bin` max|p-q| on bins between the pooled minimum and maximum, which LDM-3DG prints as
    total variation distance.

    Args:
        samples: [N] finite values.
        reference: [R] finite values.
        weights: [N] of the samples, not negative, of any sum; all equal if None.

    Returns:
        The distances by name; all None if either side is empty or no sample has any weight.
    """
    samples, reference = np.asarray(samples, float), np.asarray(reference, float)
    weights = np.ones(len(samples)) if weights is None else np.asarray(weights, float)
    if not weights.sum() > 0 or not len(reference):
        return dict.fromkeys(("total_variation", "hellinger", "wasserstein", "max_bin"))
    equal = np.ones(len(reference))
    fixed = np.linspace(reference.min(), reference.max(), REFERENCE_BINS + 1)
    p, q = _fractions(samples, weights, fixed), _fractions(reference, equal, fixed)
    # Samples without weight are no part of the distribution: they must not stretch the pooled bins.
    pooled = np.concatenate([samples[weights > 0], reference])
    shared = np.linspace(pooled.min(), pooled.max(), POOLED_BINS + 1)
    difference = _fractions(samples, weights, shared) - _fractions(reference, equal, shared)
    return {
        "total_variation": float(np.abs(p - q).sum() / 2),
        "hellinger": float(np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / np.sqrt(2)),
        "wasserstein": float(wasserstein_distance(samples, reference, u_weights=weights)),
        "max_bin": float(np.abs(difference).max()),
    }


def size_weights(sample_sizes: np.ndarray, reference_sizes: np.ndarray) -> tuple[np.ndarray, float | None]:
    """Weights that give samples the reference's distribution of sizes: w ∝ p_reference(size) / p_samples(size).

    Args:
        sample_sizes: [N] sizes, not negative integers.
        reference_sizes: [R] likewise.

    Returns:
        weights: [N] with sum 1, 0 for sizes that the reference lacks; all 0 if the two share no size.
        coverage: share of the reference whose size occurs among the samples, the most that weights can reach; None
            if there is no reference.
    """
    if not len(reference_sizes):
        return np.zeros(len(sample_sizes)), None
    sizes = np.asarray(sample_sizes, np.int64)
    length = int(max(sizes.max(initial=0), np.max(reference_sizes))) + 1
    ours, theirs = (np.bincount(x, minlength=length) for x in (sizes, reference_sizes))
    shared = theirs[ours > 0].sum()
    weights = (theirs / np.maximum(ours, 1))[sizes]  # their sum is `shared`
    return weights / max(shared, 1), float(shared / theirs.sum())


def _fractions(values: np.ndarray, weights: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """[B + 2] share of weight below the first of B + 1 edges, in each bin (the last one closed), above the last."""
    bins = np.searchsorted(edges, values, side="right") - (values == edges[-1])
    return np.bincount(bins, weights, minlength=len(edges) + 1) / weights.sum()
