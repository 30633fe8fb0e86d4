"""Corrected stability: atoms as real molecules have them."""

import numpy as np
import pandas as pd

from latent3d.data.molecules.molecules import Molecules
from latent3d.evaluation.context import Context
from latent3d.evaluation.measures import Measures
from latent3d.evaluation.validity.valences import describe


def measure(samples: Molecules, requests: pd.DataFrame, context: Context, out: Measures) -> pd.DataFrame:
    """Stability of atoms and molecules by the reference's valences; the ledger names the first unstable atom."""
    n = len(samples)
    if context.reference is None:
        out.missing(["atom_stability", "molecule_stability"])
        return pd.DataFrame({"stability": pd.Series([None] * n, dtype=object)})
    population = context.population()
    codes, atoms = population.valences, np.diff(population.atom_offsets)
    stable = context.reference.valences.allows(codes)
    molecule_of_atom = np.repeat(np.arange(n), atoms)
    stable_atoms = np.bincount(molecule_of_atom[stable], minlength=n)
    out.pooled("atom_stability", stable_atoms, atoms)
    is_stable = (stable_atoms == atoms) & (atoms > 0)
    out.rate("molecule_stability", is_stable.sum(), n)
    # The first unstable atom of each sample, in words.
    verdicts = np.where(is_stable, "ok", "no_graph").astype(object)
    wrong = np.flatnonzero(~stable)
    sample, first = np.unique(molecule_of_atom[wrong], return_index=True)
    for i, atom in zip(sample.tolist(), wrong[first].tolist(), strict=True):
        if codes[atom] >= 0:
            verdicts[i] = f"atom {atom - population.atom_offsets[i]}: {describe(codes[atom])}"
    return pd.DataFrame({"stability": verdicts}, dtype=object)
