"""PoseBusters on samples: the quick tests on all (or a seeded subset), the slow energy-ratio test on a smaller one."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from latent3d.base.workers import Workers
from latent3d.data.molecules.molecules import Molecule, Molecules
from latent3d.data.molecules.perception import perceive_bonds
from latent3d.evaluation.analysis.population import map_groups
from latent3d.evaluation.context import Context
from latent3d.evaluation.measures import Measures
from latent3d.evaluation.registry import POSEBUSTERS, POSEBUSTERS_TESTS, QUICK_TESTS

ENERGY_TEST = "internal_energy"
Result = dict[str, bool | str | None] | str
"""True, False, None for NaN, or `timeout` or `crashed` for each test; or why no test could be done."""
_GROUP, _QUICK_SECONDS, _ENERGY_SECONDS = 20, 30.0, 120.0


def measure(samples: Molecules, requests: pd.DataFrame, context: Context, out: Measures) -> pd.DataFrame:
    """Every value of registry.POSEBUSTERS; the ledger has the verdict on each sample."""
    options = context.options
    verdicts: list[str | None] = [None] * len(samples)
    if context.flat or options.posebusters == 0:
        out.missing(POSEBUSTERS)
    else:
        verdicts = bust(
            samples, context.usable, options.posebusters, options.energy_ratio, options.seed, context.workers, out
        )
    return pd.DataFrame({"posebusters": pd.Series(verdicts, dtype=object)})


def bust(
    samples: Molecules,
    usable: np.ndarray,
    quick: int | None,
    energy: int | None,
    seed: int,
    workers: Workers,
    out: Measures,
) -> list[str | None]:
    """Test samples, add the values of registry.POSEBUSTERS to `out`, and return the verdict on each.

    A verdict is None where the sample was not tested; `ok`; the failed tests joined by `;`, with `undefined` after
    those that gave NaN or raised; or why nothing could be tested: `sample_failed`, `no_graph`, `timeout`, `crashed`.

    Args:
        samples: N molecules; bonds that are unknown are perceived.
        usable: [N] bool, False where the sample is a failure: it fails every test.
        quick: number of samples that get the quick tests; None for all.
        energy: number of those that get the energy-ratio test as well; None for all.
        seed: of the draw of both, without replacement.
        workers: that run `workers.run_task`.
        out: what to add to.
    """
    order = np.random.default_rng([seed, 2]).permutation(len(samples))
    tested = order[:quick]
    with_energy = tested[:energy]
    results: dict[int, Result] = dict.fromkeys(tested[~usable[tested]].tolist(), "sample_failed")
    for rows, function, size, seconds, label in (
        (tested, _quick_group, _GROUP, _QUICK_SECONDS, "PoseBusters"),
        (with_energy, _energy_group, 1, _ENERGY_SECONDS, "PoseBusters, energy ratio"),
    ):
        rows = rows[usable[rows]].tolist()
        outcomes = map_groups(function, [samples[row] for row in rows], size, seconds, workers, label)
        for row, outcome in zip(rows, outcomes, strict=True):
            new = outcome.value if outcome.status == "ok" else outcome.status
            old = results.get(row)
            if isinstance(old, dict):
                # What only the second round could not finish keeps what the first one found.
                results[row] = old | (new if isinstance(new, dict) else {ENERGY_TEST: new})
            elif old is None:
                results[row] = new
    _measure(results, tested.tolist(), with_energy.tolist(), out)
    return [_verdict(results.get(row)) for row in range(len(samples))]


# PoseBusters is imported where it runs: scoring without it needs neither the package nor its second of start-up.
def _quick_group(molecules: list[Molecule]) -> list[Result]:
    from latent3d.evaluation.validity.posebusters_tests import quick_tests

    return [_with_graph(molecule, quick_tests) for molecule in molecules]


def _energy_group(molecules: list[Molecule]) -> list[Result]:
    from latent3d.evaluation.validity.posebusters_tests import energy_test

    return [_with_graph(molecule, lambda graph: {ENERGY_TEST: energy_test(graph)}) for molecule in molecules]


def _with_graph(molecule: Molecule, function: Callable[[Molecule], dict[str, bool | None]]) -> Result:
    graph, status = (molecule, "ok") if molecule.bonds is not None else perceive_bonds(molecule)
    if status == "ok" and not (len(graph) and np.isfinite(graph.positions).all()):
        status = "nan_coordinates" if len(graph) else "decode_failed"
    return function(graph) if status == "ok" else "no_graph"


def _measure(
    results: dict[int, Result],
    tested: Sequence[int],
    with_energy: Sequence[int],
    out: Measures,
) -> None:
    out.missing(POSEBUSTERS)

    def passed(row: int, names: Sequence[str]) -> bool:
        result = results[row]
        return isinstance(result, dict) and all(result.get(name) is True for name in names)

    out.counts["posebusters_tested"] = len(tested)
    out.counts["posebusters_energy_tested"] = len(with_energy)
    for rows, whole, names in (
        (tested, "posebusters_quick", QUICK_TESTS),
        (with_energy, "posebusters", tuple(POSEBUSTERS_TESTS)),
    ):
        if rows:
            out.rate(whole, sum(passed(row, names) for row in rows), len(rows))
    for name in POSEBUSTERS_TESTS:
        rows = with_energy if name == ENERGY_TEST else tested
        if rows:
            out.rate(f"posebusters_{name}", sum(passed(row, [name]) for row in rows), len(rows))
    if with_energy:
        undefined = sum(isinstance(results[row], dict) and results[row][ENERGY_TEST] is None for row in with_energy)
        out.rate("posebusters_energy_undefined", undefined, len(with_energy))


def _verdict(result: Result | None) -> str | None:
    if not isinstance(result, dict):
        return result
    reasons = {False: "", None: " undefined"}
    failed = [f"{name}{reasons.get(value, f' {value}')}" for name, value in result.items() if value is not True]
    return "; ".join(failed) or "ok"
