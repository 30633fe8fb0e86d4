"""Distributions of scalar properties (weight, logP, ...) beside those of the training molecules."""

import pandas as pd

from latent3d.data.molecules.molecules import Molecules
from latent3d.evaluation.analysis.profile import Profile
from latent3d.evaluation.context import Context
from latent3d.evaluation.distribution.distances import descriptor_distances, size_weights
from latent3d.evaluation.measures import Measures
from latent3d.evaluation.registry import DESCRIPTOR_DISTANCES, DESCRIPTORS


def measure(samples: Molecules, requests: pd.DataFrame, context: Context, out: Measures) -> None:
    """Every value of registry.DESCRIPTOR_DISTANCES, of the strictly valid samples."""
    reference = context.reference
    if reference is None:
        out.missing(DESCRIPTOR_DISTANCES)
        return
    whole, folds = context.population().compared
    out.counts["compared"] = sum(map(len, folds))
    out.of_folds(lambda profile: compare(profile, reference.profile), whole, folds)


def compare(samples: Profile, train: Profile) -> dict[str, float | None]:
    """Distances of every descriptor, unmatched, and matched in the number of heavy atoms; what matching can reach."""
    weights, coverage = size_weights(samples.heavy_atoms, train.heavy_atoms)
    values: dict[str, float | None] = {"size_matched_coverage": coverage}
    for column, name in enumerate(DESCRIPTORS):
        ours, theirs = samples.descriptors[:, column], train.descriptors[:, column]
        for ending, weighting in (("", None), ("_matched", weights)):
            distances = descriptor_distances(ours, theirs, weighting)
            values |= {f"{name}_{distance}{ending}": value for distance, value in distances.items()}
    return values
