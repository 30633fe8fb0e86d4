"""Fréchet ChemNet distance to the training molecules, and to the test molecules."""

import numpy as np
import pandas as pd

from latent3d.data.molecules.molecules import Molecules
from latent3d.evaluation.context import Context
from latent3d.evaluation.distribution.chemnet import Statistics, activations, frechet_distance, statistics
from latent3d.evaluation.measures import Measures
from latent3d.evaluation.registry import FCD


def measure(samples: Molecules, requests: pd.DataFrame, context: Context, out: Measures) -> None:
    """The values of registry.FCD, of at most SET_SIZE strictly valid samples."""
    reference = context.reference
    if reference is None or not context.options.fcd or reference.chemnet is None:
        out.missing(FCD)
        return
    folds = context.population().compared.folds
    seen = activations([smiles for fold in folds for smiles in fold.smiles], "score: ChemNet")
    parts = np.split(seen, np.cumsum([len(fold.smiles) for fold in folds])[:-1])
    whole, *sets = (statistics(values) for values in (seen, *parts))

    def compare(of_set: Statistics | None) -> dict[str, float | None]:
        to = {"fcd": reference.chemnet, "fcd_test": reference.chemnet_test}
        return {name: frechet_distance(of_set, theirs) for name, theirs in to.items()}

    out.of_folds(compare, whole, sets)
