"""Energies of a set of samples (energies.parquet): distances to test molecules, relaxation, strain, dynamics.

Every rate is over all samples that a calculation was asked for, and every median counts its failures as infinite.
"""

from collections import Counter

import numpy as np
import pandas as pd

from latent3d.data.molecules.molecules import Molecules
from latent3d.data.molecules.units import KCAL_PER_HARTREE
from latent3d.evaluation.analysis.population import FOLDS
from latent3d.evaluation.context import Context
from latent3d.evaluation.distribution.distances import descriptor_distances, size_weights
from latent3d.evaluation.measures import Measures
from latent3d.evaluation.registry import ENERGY

_STATUS = {
    "single_point": "status",
    "relaxation": "relax_status",
    "strain": "strain_status",
    "md_mmff": "md_mmff_status",
    "md_gfn2": "md_gfn2_status",
}
CALCULATIONS = tuple(_STATUS)
_RELAXED = {
    "relaxation_energy_median": "relaxation_energy",
    "relaxation_energy_per_atom_median": "relaxation_energy_per_atom",
    **{
        f"relaxation_{name}_median": name
        for name in ("rmsd_heavy", "rmsd_all", "bond_change", "angle_change", "torsion_change")
    },
}


def measure(samples: Molecules, requests: pd.DataFrame, context: Context, out: Measures) -> pd.DataFrame:
    """Every value of registry.ENERGY. A sample without a single point has failed, for the reason in the ledger."""
    out.missing(ENERGY)
    status = pd.Series([None] * len(samples), dtype=object)
    if context.energies is not None:
        failed_before = pd.Series(context.status, dtype=object).mask(context.usable, None)
        fold = context.population().fold
        status, out.failed = measure_energies(context.energies, context.reference_energies, failed_before, fold, out)
        out.stage(status)
    return pd.DataFrame({"gfn2": status})


def measure_energies(
    energies: pd.DataFrame, reference: pd.DataFrame | None, failed_before: pd.Series, fold: np.ndarray, out: Measures
) -> tuple[pd.Series, dict[str, dict[str, int]]]:
    """Measure every value of registry.ENERGY that was asked for.

    Args:
        energies: N rows as in energies.parquet; columns of calculations that were not asked for may be absent.
        reference: rows of real molecules, likewise; without them, distances are missing.
        failed_before: [N] reason why a sample is none, else None: it stays a failure whatever geometry it left.
        fold: [N] the fold of every sample (Population.fold).
        out: takes the values.

    Returns:
        [N] status of the single points; and by calculation, the number of failures by reason.
    """
    table = energies.copy()
    for column in _STATUS.values():
        status = table[column].astype(object) if column in table else pd.Series(None, table.index, object)
        table[column] = status.mask(status.notna() & failed_before.notna().to_numpy(), failed_before.to_numpy())
    _single_points(table, reference, fold, out)
    failures = {"single_point": _reasons(table["status"])}
    for name, measure in (
        ("relaxation", _relaxations),
        ("strain", _strains),
        ("md_mmff", _dynamics),
        ("md_gfn2", _dynamics),
    ):
        asked = table[table[_STATUS[name]].notna()]
        if len(asked):
            out.counts[f"{name}_asked"] = len(asked)
            failures[name] = measure(name, asked, out)
    return table["status"], failures


def _single_points(table: pd.DataFrame, reference: pd.DataFrame | None, fold: np.ndarray, out: Measures) -> None:
    done = (table["status"] == "ok").to_numpy()
    out.rate("gfn2_success", done.sum(), len(done))
    for column in ("dipole", "gap"):
        if column in table:
            values = table.loc[done, column].to_numpy(float)
            out.mean(f"gfn2_{column}_mean", values[np.isfinite(values)])
    if reference is None:
        return
    real = reference[reference["status"] == "ok"]
    folds = [table[done & (fold == number)] for number in range(FOLDS)]
    out.of_folds(lambda rows: _distances(rows, real), table[done], folds)


def _distances(samples: pd.DataFrame, real: pd.DataFrame) -> dict[str, float | None]:
    """Of energies per atom, kcal/mol; unmatched, and matched in the number of heavy atoms."""
    ours, theirs = (rows["energy_per_atom"].to_numpy(float) * KCAL_PER_HARTREE for rows in (samples, real))
    weights, coverage = size_weights(samples["heavy_atoms"].to_numpy(int), real["heavy_atoms"].to_numpy(int))
    return {"gfn2_size_matched_coverage": coverage} | {
        f"gfn2_energy_per_atom_{distance}{ending}": value
        for ending, weighting in (("", None), ("_matched", weights))
        for distance, value in descriptor_distances(ours, theirs, weighting).items()
    }


def _relaxations(_: str, asked: pd.DataFrame, out: Measures) -> dict[str, int]:
    converged = (asked["relax_status"] == "ok").to_numpy()
    kept = converged & (asked["graph_survived"] == True).to_numpy()  # noqa: E712 (null is not True)
    out.rate("relaxation_converged", converged.sum(), len(asked))
    out.rate("relaxation_coverage", kept.sum(), len(asked))
    for name, column in _RELAXED.items():
        out.median(name, _or_infinite(asked[column], kept))
    out.mean("relaxation_energy_mean", asked.loc[kept, "relaxation_energy"].to_numpy(float))
    status = asked["relax_status"].mask(converged & ~kept, "topology_changed")
    return _reasons(status)


def _strains(_: str, asked: pd.DataFrame, out: Measures) -> dict[str, int]:
    done = (asked["strain_status"] == "ok").to_numpy()
    out.rate("strain_coverage", done.sum(), len(asked))
    out.median("strain_median", _or_infinite(asked["strain"], done))
    return _reasons(asked["strain_status"])


def _dynamics(name: str, asked: pd.DataFrame, out: Measures) -> dict[str, int]:
    survived = (asked[f"{name}_survived"] == True).to_numpy()  # noqa: E712 (null is not True)
    out.rate(f"{name}_survival", survived.sum(), len(asked))
    status = asked[f"{name}_status"]
    return _reasons(status.mask((status == "ok") & ~survived, asked[f"{name}_failure"]))


def _or_infinite(values: pd.Series, done: np.ndarray) -> np.ndarray:
    """The values of those done, infinity for failures; those that a molecule cannot have (torsions) are left out."""
    values = np.where(done, values.to_numpy(float), np.inf)
    return values[~np.isnan(values)]


def _reasons(status: pd.Series) -> dict[str, int]:
    return dict(sorted(Counter(status[status != "ok"]).items()))
