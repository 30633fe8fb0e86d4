"""Stability, validity, uniqueness and novelty by the EDM protocol, as papers print them."""

from collections import Counter

import numpy as np
import pandas as pd

from latent3d.data.molecules.molecules import Molecules
from latent3d.evaluation.context import Context
from latent3d.evaluation.measures import Measures
from latent3d.evaluation.registry import LEGACY


def measure(samples: Molecules, requests: pd.DataFrame, context: Context, out: Measures) -> pd.DataFrame:
    """Every value of registry.LEGACY, of the verdicts of `edm_protocol`."""
    n = len(samples)
    columns = ["legacy_stable", "legacy_stable_atoms", "legacy_valid", "legacy_geom_valid"]
    if context.flat:
        out.missing(LEGACY)
        return pd.DataFrame(None, range(n), columns, object)
    table = context.population().table
    atoms, stable_atoms = table["atoms"].to_numpy(), table["legacy_stable_atoms"].to_numpy()
    stable = table["legacy_stable"].to_numpy()
    out.pooled("legacy_atom_stability", stable_atoms, atoms)
    out.rate("legacy_molecule_stability", stable.sum(), n)
    # LDM-3DG's denominators.
    kept = ~table["legacy_foreign"].to_numpy()
    out.mean("ldm3dg_atom_stability", (stable_atoms / np.maximum(atoms, 1))[kept])
    out.rate("ldm3dg_molecule_stability", stable[kept].sum(), kept.sum())
    out.rate("legacy_geom_validity", table["legacy_geom_valid"].sum(), n)
    valid = Counter(text for text in table["legacy_smiles"] if text is not None)
    out.rate("legacy_validity", valid.total(), n)
    out.distinct("legacy_uniqueness", valid, valid.total())
    if context.reference is None:
        out.missing(["legacy_novelty"])
    else:
        out.rate("legacy_novelty", len(valid.keys() - context.reference.legacy_smiles), len(valid))
    return table.assign(legacy_valid=table["legacy_smiles"].notna())[columns]
