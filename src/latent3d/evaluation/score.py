"""Samples of one set to their measures and their ledger: one line per requested sample, failures included.

Every rate is over all requested samples unless its name in the registry says otherwise. A failed sample counts against
every rate and is never dropped.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd

from latent3d.base.functions import find_function
from latent3d.base.workers import Workers
from latent3d.data.molecules.molecules import ELEMENTS, Molecules
from latent3d.data.molecules.status import sample_status
from latent3d.evaluation.analysis.population import analyse_population
from latent3d.evaluation.analysis.profile import SET_SIZE
from latent3d.evaluation.analysis.reference import Reference
from latent3d.evaluation.context import Context, Options
from latent3d.evaluation.measures import Measures

Measure = Callable[[Molecules, pd.DataFrame, Context, Measures], pd.DataFrame | None]


def family(name: str, function: str | None = None) -> Measure:
    """The function of a family: `measure` of the file of that name here, or `module:function`.

    Raises:
        UserError: there is none.
    """
    return find_function(function or f"latent3d.evaluation.{name}:measure", f"family of measures {name!r} of task.yaml")


def score(
    samples: Molecules,
    families: Sequence[Measure],
    workers: Workers,
    options: Options,
    *,
    requests: pd.DataFrame | None = None,
    reference: Reference | None = None,
    energies: pd.DataFrame | None = None,
    reference_energies: pd.DataFrame | None = None,
    judged: pd.DataFrame | None = None,
    flat: bool = False,
) -> tuple[pd.DataFrame, Measures]:
    """The ledger and the measures of samples.

    Args:
        samples: one row per requested sample; without a column `status`, all count as ok.
        families: what is measured, in the order of the ledger's columns.
        workers: that run `workers.run_task`.
        options: what to measure.
        requests: one row per sample; those of a file of molecules say nothing.
        reference: what to compare with; without one, values that need it are None.
        energies: the rows of energies.parquet of the same samples, if there is one.
        reference_energies: those of real molecules.
        judged: what the task's trained predictors say of the samples, one row each.
        flat: True if the samples have no coordinates (SMILES): what needs them is None.
    """
    status = sample_status(samples)
    elements = reference.elements if reference else frozenset(range(1, len(ELEMENTS)))
    context = Context(
        status,
        reference,
        energies,
        reference_energies,
        judged,
        flat,
        options,
        workers,
        cache(lambda: analyse_population(samples, status, elements, workers, "score: parts", flat, seed=options.seed)),
    )
    requests = pd.DataFrame(index=range(len(samples))) if requests is None else requests
    out = Measures(len(samples), options.seed)
    out.counts |= {"requested": len(samples), "sample_ok": int(context.usable.sum())}
    out.stage(status)
    columns = [_about(samples, status)]
    columns += [measured for measure in families if (measured := measure(samples, requests, context, out)) is not None]
    return pd.concat(columns, axis=1), out


def measure_floor(
    reference: Reference, test: Molecules, families: Sequence[Measure], workers: Workers, options: Options
) -> Reference:
    """The reference with what its test molecules (at most SET_SIZE, drawn with the seed) score as samples."""
    rows = np.random.default_rng([options.seed, 3]).permutation(len(test))[:SET_SIZE]
    if not len(rows):
        return reference
    _, floor = score(test.take(np.sort(rows)), families, workers, options, reference=reference)
    return replace(reference, floor=floor.values, floor_molecules=len(rows))


def _about(samples: Molecules, status: Sequence[str]) -> pd.DataFrame:
    """The ledger's first columns: which sample it is. Empty cells: not known."""
    given: Mapping[str, pd.Series] = samples.table
    empty = pd.Series([None] * len(samples), dtype=object)
    return pd.DataFrame(
        {
            "sample_index": given["sample_index"] if "sample_index" in given else range(len(samples)),
            "id": given.get("id", empty),
            "seed": given.get("seed", empty),
            "sample": pd.Series(status, dtype=object),
            "problem": given.get("problem", empty),
        }
    )
