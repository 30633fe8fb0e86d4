"""Distances of a set of molecules to the training molecules: scalar properties, parts, similarity, geometry."""

from latent3d.evaluation.distribution import similarity
from latent3d.evaluation.distribution.distances import descriptor_distances, size_weights
from latent3d.evaluation.geometry import histograms as geometry
from latent3d.evaluation.profile import Profile
from latent3d.evaluation.reference import Reference
from latent3d.evaluation.registry import DESCRIPTORS


def compare(samples: Profile, reference: Reference) -> dict[str, float | None]:
    """Every value of registry.DISTRIBUTION but FCD, and of registry.GEOMETRY; None where nothing can be compared."""
    train = reference.profile
    return (
        _properties(samples, train)
        | {
            "snn": _mean_nearest(samples, train),
            "internal_diversity": similarity.internal_diversity(samples.fingerprints),
            "fragment_similarity": similarity.cosine_similarity(samples.parts["fragments"], train.parts["fragments"]),
            "scaffold_similarity": similarity.cosine_similarity(samples.parts["scaffolds"], train.parts["scaffolds"]),
        }
        | {
            f"{kind}_unseen": similarity.unseen_share(samples.parts[kind], train.parts[kind])
            for kind in ("ring_systems", "functional_groups")
        }
        | geometry.distances(samples.geometry, train.geometry)
    )


def _properties(samples: Profile, train: Profile) -> dict[str, float | None]:
    weights, coverage = size_weights(samples.heavy_atoms, train.heavy_atoms)
    values: dict[str, float | None] = {"size_matched_coverage": coverage}
    for column, name in enumerate(DESCRIPTORS):
        ours, theirs = samples.descriptors[:, column], train.descriptors[:, column]
        for ending, weighting in (("", None), ("_matched", weights)):
            distances = descriptor_distances(ours, theirs, weighting)
            values |= {f"{name}_{distance}{ending}": value for distance, value in distances.items()}
    return values


def _mean_nearest(samples: Profile, train: Profile) -> float | None:
    if not len(samples.fingerprints):
        return None
    return float(similarity.nearest_similarities(samples.fingerprints, train.fingerprints).mean())
