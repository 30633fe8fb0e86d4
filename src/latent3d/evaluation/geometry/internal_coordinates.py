"""Bond lengths, bond angles and torsions beside those of the training molecules."""

import pandas as pd

from latent3d.data.molecules.molecules import Molecules
from latent3d.evaluation.analysis.profile import Profile
from latent3d.evaluation.context import Context
from latent3d.evaluation.geometry.histograms import distances
from latent3d.evaluation.measures import Measures
from latent3d.evaluation.registry import GEOMETRY


def measure(samples: Molecules, requests: pd.DataFrame, context: Context, out: Measures) -> None:
    """Every value of registry.GEOMETRY."""
    reference = context.reference
    if reference is None or context.flat:
        out.missing(GEOMETRY)
        return

    def compare(profile: Profile) -> dict[str, float | None]:
        return distances(profile.geometry, reference.profile.geometry)

    out.of_folds(compare, *context.population().compared)
