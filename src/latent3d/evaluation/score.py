"""Samples to their metrics and their ledger (one line per requested sample, failures included).

Every rate is over all requested samples unless its name in the registry says otherwise. A failed sample counts against
every rate and is never dropped.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from latent3d.base.workers import Workers
from latent3d.data.molecules.molecules import ELEMENTS, Molecules
from latent3d.data.molecules.status import USABLE_STATUSES, sample_status
from latent3d.evaluation.distribution import fcd
from latent3d.evaluation.distribution.compare import compare
from latent3d.evaluation.energy.energies import measure_energies
from latent3d.evaluation.measurement import Measurement
from latent3d.evaluation.population import FOLDS, Population, analyse_population
from latent3d.evaluation.profile import merge
from latent3d.evaluation.reference import SET_SIZE, Reference
from latent3d.evaluation.registry import DISTRIBUTION, ENERGY, GEOMETRY, LEGACY
from latent3d.evaluation.validity import legacy
from latent3d.evaluation.validity import posebusters_summary as busted
from latent3d.evaluation.validity.stability import describe

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Options:
    """What is measured, beside what always is.

    Attributes:
        posebusters: samples that get PoseBusters' quick tests; None for all.
        energy_ratio: those of them that get its slow energy-ratio test; None for all.
        fcd: whether to compute the Fréchet ChemNet distance.
        seed: of the draws: folds, subsets, bootstrap.
    """

    posebusters: int | None = None
    energy_ratio: int | None = 1000
    fcd: bool = True
    seed: int = 0


def score(
    samples: Molecules,
    reference: Reference | None,
    workers: Workers,
    options: Options,
    energies: pd.DataFrame | None = None,
    reference_energies: pd.DataFrame | None = None,
    flat: bool = False,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The ledger and the metrics (without provenance) of samples.

    Args:
        samples: one row per requested sample; without a column `status`, all count as ok.
        reference: what to compare with; without one, values that need it are None.
        workers: that run `workers.run_task`.
        options: what to measure.
        energies: the rows of energies.parquet of the same samples, if there is one.
        reference_energies: those of real molecules.
        flat: True if the samples have no coordinates (SMILES): what needs them is None.
    """
    n = len(samples)
    status = sample_status(samples)
    usable = np.isin(np.array(status, dtype=object), USABLE_STATUSES)
    elements = reference.elements if reference else frozenset(range(1, len(ELEMENTS)))
    population = analyse_population(samples, status, elements, workers, "score: parts", flat, seed=options.seed)
    out = Measurement(options.seed)
    out.counts |= {
        "requested": n,
        "sample_ok": int(usable.sum()),
        "bonds_perceived": int(population.table["bonds_perceived"].sum()),
    }
    if flat:
        out.missing(LEGACY)
    else:
        _legacy(population, reference, out)
    _validity(population, reference, out)
    stability = _stability(population, reference, out)
    _comparisons(population, reference, options, flat, out)
    verdicts: list[str | None] = [None] * n
    if flat or options.posebusters == 0:
        busted.not_measured(out)
    else:
        verdicts = busted.bust(samples, usable, options.posebusters, options.energy_ratio, options.seed, workers, out)
    gfn2, energy_failures = _energies(energies, reference_energies, status, population.fold, out)
    ledger = _ledger(samples, population, reference, flat).assign(
        sample=status, stability=stability, posebusters=pd.Series(verdicts, dtype=object), gfn2=gfn2
    )
    return ledger, {
        "schema_version": SCHEMA_VERSION,
        "n_requested": n,
        "values": out.values,
        "intervals": out.intervals,
        "counts": out.counts,
        "failures": _failures(ledger),
        "energy_failures": energy_failures,
    }


def measure_floor(reference: Reference, test: Molecules, workers: Workers, options: Options) -> Reference:
    """The reference with what its test molecules (at most SET_SIZE, drawn with the seed) score as samples."""
    rows = np.random.default_rng([options.seed, 3]).permutation(len(test))[:SET_SIZE]
    if not len(rows):
        return reference
    values = score(test.take(np.sort(rows)), reference, workers, options)[1]["values"]
    return replace(reference, floor=values, floor_molecules=len(rows))


def _legacy(population: Population, reference: Reference | None, out: Measurement) -> None:
    table = population.table
    verdicts = legacy.LegacyVerdicts(
        table["atoms"].to_numpy(),
        table["legacy_stable_atoms"].to_numpy(),
        table["legacy_stable"].to_numpy(),
        table["legacy_smiles"].tolist(),
        table["legacy_geom_valid"].to_numpy(),
        table["legacy_foreign"].to_numpy(),
    )
    n = len(table)
    out.pooled("legacy_atom_stability", verdicts.stable_atoms, verdicts.atoms)
    out.rate("legacy_molecule_stability", verdicts.stable.sum(), n)
    kept = ~verdicts.foreign
    out.mean("ldm3dg_atom_stability", (verdicts.stable_atoms / np.maximum(verdicts.atoms, 1))[kept])
    out.rate("ldm3dg_molecule_stability", verdicts.stable[kept].sum(), kept.sum())
    out.rate("legacy_geom_validity", verdicts.geom_valid.sum(), n)
    valid = Counter(text for text in verdicts.smiles if text is not None)
    out.rate("legacy_validity", valid.total(), n)
    out.distinct("legacy_uniqueness", valid, valid.total())
    if reference is None:
        out.missing(["legacy_novelty"])
    else:
        out.rate("legacy_novelty", len(valid.keys() - reference.legacy_smiles), len(valid))


def _validity(population: Population, reference: Reference | None, out: Measurement) -> None:
    table, n = population.table, len(population.table)
    out.rate("graph_validity", table["graph_valid"].sum(), n)
    out.rate("valid_connected", (table["graph_valid"] & table["connected"]).sum(), n)
    out.rate("strict_validity", (table["strict"] == "ok").sum(), n)
    valid = Counter(text for text in table["smiles"] if text is not None)
    out.distinct("valid_unique", valid, n)
    if reference is None:
        out.missing(["valid_unique_novel", "known"])
    else:
        novel = {text: count for text, count in valid.items() if text not in reference.smiles}
        out.distinct("valid_unique_novel", novel, n)
        known = reference.smiles | reference.held_out_smiles
        out.rate("known", sum(count for text, count in valid.items() if text in known), n)


def _stability(population: Population, reference: Reference | None, out: Measurement) -> pd.Series:
    """Corrected stability. Returns `ok`, or the first unstable atom of each sample."""
    n = len(population.table)
    if reference is None:
        out.missing(["atom_stability", "molecule_stability"])
        return pd.Series([None] * n, dtype=object)
    codes, atoms = population.valences, np.diff(population.atom_offsets)
    stable = reference.valences.allows(codes)
    owner = np.repeat(np.arange(n), atoms)
    stable_atoms = np.bincount(owner[stable], minlength=n)
    out.pooled("atom_stability", stable_atoms, atoms)
    is_stable = (stable_atoms == atoms) & (atoms > 0)
    out.rate("molecule_stability", is_stable.sum(), n)
    reasons = np.where(is_stable, "ok", "no_graph").astype(object)
    wrong = np.flatnonzero(~stable)
    sample, first = np.unique(owner[wrong], return_index=True)
    for i, atom in zip(sample.tolist(), wrong[first].tolist(), strict=True):
        if codes[atom] >= 0:
            reasons[i] = f"atom {atom - population.atom_offsets[i]}: {describe(codes[atom])}"
    return pd.Series(reasons, dtype=object)


def _comparisons(
    population: Population, reference: Reference | None, options: Options, flat: bool, out: Measurement
) -> None:
    """Distances to the training molecules, of the whole and of its folds."""
    if reference is None:
        out.missing(DISTRIBUTION + GEOMETRY)
        return
    # Nearest neighbours and FCD depend on the number of molecules, so that of every set is limited alike.
    folds = [fold.limited(SET_SIZE // FOLDS) for fold in population.folds]
    whole, parts = compare(merge(folds), reference), [compare(fold, reference) for fold in folds]
    out.counts["compared"] = sum(map(len, folds))
    out.counts["compared_similarity"] = sum(len(fold.smiles) for fold in folds)
    # An empty fold says nothing of the spread.
    parts = parts if all(len(fold) for fold in folds) else []
    for name, value in whole.items():
        out.of_set(name, value, [part[name] for part in parts])
    if flat:
        out.missing(GEOMETRY)
    if not options.fcd or reference.chemnet is None:
        out.missing(["fcd", "fcd_test"])
        return
    activations = fcd.activations([smiles for fold in folds for smiles in fold.smiles], "score: ChemNet")
    parts = np.split(activations, np.cumsum([len(fold.smiles) for fold in folds])[:-1])
    sets = [fcd.statistics(values) for values in (activations, *parts)]
    for name, to in (("fcd", reference.chemnet), ("fcd_test", reference.chemnet_test)):
        whole, *distances = (fcd.frechet_distance(statistics, to) for statistics in sets)
        out.of_set(name, whole, distances)


def _energies(
    energies: pd.DataFrame | None,
    reference: pd.DataFrame | None,
    sample_status: list[str],
    fold: np.ndarray,
    out: Measurement,
) -> tuple[pd.Series, dict[str, dict[str, int]]]:
    """GFN2's status of each sample, and failures by reason of every calculation."""
    out.missing(ENERGY)
    if energies is None:
        return pd.Series([None] * len(sample_status), dtype=object), {}
    failed = pd.Series(sample_status, dtype=object)
    failed = failed.mask(failed.isin(USABLE_STATUSES), None)
    return measure_energies(energies, reference, failed, fold, out)


def _ledger(samples: Molecules, population: Population, reference: Reference | None, flat: bool) -> pd.DataFrame:
    """One line per sample. Empty cells: not measured, or not known."""
    n, given, table = len(samples), samples.table, population.table
    empty = pd.Series([None] * n, dtype=object)
    smiles = table["smiles"]
    novel = empty
    if reference is not None:
        novel = pd.Series([None if s is None else s not in reference.smiles for s in smiles], dtype=object)
    return pd.DataFrame(
        {
            "sample_index": given["sample_index"] if "sample_index" in given else range(n),
            "id": given.get("id", empty),
            "seed": given.get("seed", empty),
            "sample": empty,
            "problem": given.get("problem", empty),
            "bonds": np.where(table["bonds_perceived"], "perceived", "given"),
            "strict": table["strict"],
            "graph_valid": table["graph_valid"],
            "connected": table["connected"],
            "stability": empty,
            "posebusters": empty,
            "gfn2": empty,
            "legacy_stable": empty if flat else table["legacy_stable"],
            "legacy_stable_atoms": empty if flat else table["legacy_stable_atoms"],
            "legacy_valid": empty if flat else table["legacy_smiles"].notna(),
            "legacy_geom_valid": empty if flat else table["legacy_geom_valid"],
            "atoms": samples.atom_counts,
            "smiles": smiles,
            "novel": novel,
        }
    )


def _failures(ledger: pd.DataFrame) -> dict[str, int]:
    """Number of samples by reason, each sample once: the reason of the first stage that it did not pass."""
    reasons = [
        next((reason for reason in stages if isinstance(reason, str) and reason != "ok"), None)
        for stages in ledger[["sample", "strict", "gfn2"]].itertuples(index=False)
    ]
    return dict(sorted(Counter(reason for reason in reasons if reason is not None).items()))
