"""Similarity to the training molecules, diversity, and parts that no training molecule has."""

import pandas as pd

from latent3d.data.molecules.molecules import Molecules
from latent3d.evaluation.analysis.profile import Profile
from latent3d.evaluation.context import Context
from latent3d.evaluation.distribution.set_similarity import (
    cosine_similarity,
    internal_diversity,
    nearest_similarities,
    unseen_share,
)
from latent3d.evaluation.measures import Measures
from latent3d.evaluation.registry import FCD, SIMILARITY


def measure(samples: Molecules, requests: pd.DataFrame, context: Context, out: Measures) -> None:
    """Every value of registry.SIMILARITY but the Fréchet ChemNet distances, of the strictly valid samples."""
    reference = context.reference
    if reference is None:
        out.missing([quantity for quantity in SIMILARITY if quantity.name not in FCD])
        return
    whole, folds = context.population().compared
    out.counts["compared_similarity"] = sum(len(fold.smiles) for fold in folds)
    out.of_folds(lambda profile: compare(profile, reference.profile), whole, folds)


def compare(samples: Profile, train: Profile) -> dict[str, float | None]:
    """By name; None where nothing can be compared."""
    return {
        "snn": _mean_nearest(samples, train),
        "internal_diversity": internal_diversity(samples.fingerprints),
        "fragment_similarity": cosine_similarity(samples.parts["fragments"], train.parts["fragments"]),
        "scaffold_similarity": cosine_similarity(samples.parts["scaffolds"], train.parts["scaffolds"]),
        "ring_systems_unseen": unseen_share(samples.parts["ring_systems"], train.parts["ring_systems"]),
        "functional_groups_unseen": unseen_share(samples.parts["functional_groups"], train.parts["functional_groups"]),
    }


def _mean_nearest(samples: Profile, train: Profile) -> float | None:
    if not len(samples.fingerprints):
        return None
    return float(nearest_similarities(samples.fingerprints, train.fingerprints).mean())
