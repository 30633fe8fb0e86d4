"""Files of samples to what is measured of them: what `latent3d score` does.

Of a user's file metrics.json and ledger.csv. Of a row of a benchmark, whose file holds all sampling seeds,
measures.parquet and ledger.csv: every seed (and stratum, where the requests have one) is a set measured by itself.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from latent3d.base.errors import UserError
from latent3d.base.files import atomic_path, beside, hash_file, write_json
from latent3d.base.layout import ENERGIES, JUDGED, LEDGER, MEASURES
from latent3d.base.run import versions
from latent3d.base.workers import Workers, run_task
from latent3d.calculations.energies_file import read_energies
from latent3d.commands.families import measure_families
from latent3d.commands.reference import TASK_SECONDS, get_reference
from latent3d.data.molecules.molecules import ELEMENTS, EMPTY, Molecules, from_list
from latent3d.data.molecules.parquet import read_metadata
from latent3d.data.molecules.read import doubts, has_coordinates, read_molecules
from latent3d.data.molecules.sdf import write_sdf
from latent3d.evaluation.analysis.reference import Reference
from latent3d.evaluation.context import Options
from latent3d.evaluation.measures import Measures
from latent3d.evaluation.measures_file import lines_of, write_measures
from latent3d.evaluation.score import Measure, score
from latent3d.evaluation.validity import valences


@dataclass(frozen=True)
class _Standard:
    """What samples are judged by, the same for all files."""

    families: Sequence[Measure]
    reference: Reference | None
    reference_energies: pd.DataFrame | None
    reference_energies_sha256: str | None
    options: Options
    workers: Workers


@dataclass(frozen=True)
class _Scored:
    """One file: its N samples, their ledger [N], the measures of each of its sets, and where all that comes from."""

    samples: Molecules
    ledger: pd.DataFrame
    sets: list[tuple[dict[str, Any], Measures]]
    about: dict[str, Any]


def score_files(
    files: Sequence[Path],
    outs: Sequence[Path],
    reference: str | None,
    reference_energies: Path | None,
    options: Options,
    processes: int,
    failures: bool = False,
    task: str = "unconditional",
    requests: Path | None = None,
    identity: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Write ledger.csv of each file into its folder, and metrics.json, which is returned, or measures.parquet.

    Beside a file, energies.parquet (`latent3d energy` writes it) gives the energy metrics, which are null otherwise.

    Args:
        files: of samples, every record one.
        outs: one folder each.
        reference: what to compare with, as `get_reference` takes it.
        reference_energies: energies.parquet of real molecules.
        options: what to measure.
        processes: worker processes.
        failures: whether to write the failed samples to failures.sdf.
        task: whose families of measures are measured.
        requests: what the samples answer, one line each.
        identity: of a row's samples: benchmark, row, train_seed and variant. Then measures.parquet is written, of every
            seed and stratum by itself; without it the file is one set.

    Raises:
        UserError: a file is missing or unreadable, what lies beside it or the requests are of other samples, or there
            is no reference.
    """
    for file in files:
        if not file.is_file():
            raise UserError(f"{file} does not exist. Check the path.")
    results = []
    with Workers(run_task, processes, TASK_SECONDS) as workers:
        standard = _Standard(
            measure_families(task),
            None if reference is None else get_reference(reference, workers, processes, options.fcd),
            None if reference_energies is None else read_energies(reference_energies),
            None if reference_energies is None else hash_file(reference_energies),
            options,
            workers,
        )
        for number, (file, out) in enumerate(zip(files, outs, strict=True), start=1):
            began = time.monotonic()
            scored = _score(file, standard, requests, apart=identity is not None)
            if identity is None:
                ((_, measures),) = scored.sets
                results.append({**measures.summary(), **scored.about})
                write_json(out / "metrics.json", results[-1])
            else:
                lines = [line for of_set, m in scored.sets for line in lines_of(m, {**identity, **of_set})]
                write_measures(out / MEASURES, lines, scored.about)
            with atomic_path(out / LEDGER) as temporary:
                scored.ledger.to_csv(temporary, index=False)
            if failures:
                _write_failures(out / "failures.sdf", scored)
            print(
                f"score: {number} of {len(files)}: {file}: {len(scored.samples)} samples, strictly valid "
                f"{_strictly_valid(scored)} ({time.monotonic() - began:.0f} s)",
                file=sys.stderr,
            )
    return results


def _score(file: Path, standard: _Standard, requests_file: Path | None, apart: bool) -> _Scored:
    samples = read_molecules(file)
    for doubt in doubts(file, samples):
        print(f"score: {doubt}", file=sys.stderr)
    sha256, flat = hash_file(file), not has_coordinates(file)

    # What was asked, and what others have said of the samples: line by line the same samples.
    requests = _requests_of(file, samples, requests_file)
    energies_file, judged_file = beside(file, ENERGIES), beside(file, JUDGED)
    energies = read_energies(energies_file) if energies_file.is_file() else None
    judged = pd.read_parquet(judged_file) if judged_file.is_file() else None
    for table, path, remedy in ((energies, energies_file, "latent3d energy"), (judged, judged_file, "latent3d judge")):
        if table is not None:
            _check_samples(table, path, requests, sha256, remedy)

    # Every set by itself, with draws of its own; the ledger in the order of the file.
    sets, ledgers = [], []
    for of_set, rows in _sets(requests) if apart else [({}, np.arange(len(samples)))]:
        ledger, measures = score(
            samples.take(rows),
            standard.families,
            standard.workers,
            standard.options,
            requests=_rows(requests, rows),
            reference=standard.reference,
            energies=_rows(energies, rows),
            reference_energies=standard.reference_energies,
            judged=_rows(judged, rows),
            flat=flat,
        )
        sets.append((of_set, measures))
        ledgers.append(ledger.set_axis(rows))
    ledger = pd.concat(ledgers).sort_index() if len(ledgers) > 1 else ledgers[0]

    about = {"reference": _about_reference(standard.reference), "provenance": _provenance(file, sha256, standard)}
    if energies is not None:
        about["provenance"] |= {"energies_sha256": hash_file(energies_file), "energies": read_metadata(energies_file)}
    return _Scored(samples, ledger, sets, about)


def _requests_of(file: Path, samples: Molecules, requests_file: Path | None) -> pd.DataFrame:
    """What the samples answer, one line each; without a file of requests, what they say themselves."""
    own = samples.table[[key for key in ("sample_index", "seed") if key in samples.table]].reset_index(drop=True)
    if "sample_index" not in own:
        own["sample_index"] = range(len(samples))
    if requests_file is None:
        return own
    requests = pd.read_parquet(requests_file)
    if len(requests) != len(own) or (requests[own.columns].to_numpy() != own.to_numpy()).any():
        raise UserError(f"{file} does not answer the requests of {requests_file}. Delete it and sample again.")
    return requests


def _sets(requests: pd.DataFrame) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Which set it is, and its rows, for every sampling seed and stratum, in their order."""
    kinds = {key: kind for key, kind in (("seed", int), ("stratum", str)) if key in requests}
    if not kinds or not len(requests):
        yield {}, np.arange(len(requests))
        return
    for values, lines in requests.groupby(list(kinds), sort=False, dropna=False):
        known = zip(kinds.items(), values, strict=True)
        yield {key: kind(value) for (key, kind), value in known if not pd.isna(value)}, lines.index.to_numpy()


def _rows(table: pd.DataFrame | None, rows: np.ndarray) -> pd.DataFrame | None:
    return None if table is None else table.iloc[rows].reset_index(drop=True)


def _check_samples(table: pd.DataFrame, path: Path, requests: pd.DataFrame, sha256: str, remedy: str) -> None:
    same = [list(table[key]) == list(requests[key]) for key in ("sample_index", "seed") if {key} <= {*table, *requests}]
    if not all(same) or read_metadata(path).get("samples_sha256", sha256) != sha256:
        raise UserError(f"{path} is not of the samples beside it. Delete it and run {remedy} again.")


def _about_reference(reference: Reference | None) -> dict[str, Any] | None:
    return reference and {
        "sha256": reference.sha256,
        "description": reference.description,
        "floor": reference.floor,
        "floor_molecules": reference.floor_molecules,
    }


def _provenance(file: Path, sha256: str, standard: _Standard) -> dict[str, Any]:
    options = standard.options
    return {
        "samples": file.name,
        "samples_sha256": sha256,
        "energies_sha256": None,
        "options": {
            "posebusters": "all" if options.posebusters is None else options.posebusters,
            "energy_ratio": "all" if options.energy_ratio is None else options.energy_ratio,
            "fcd": options.fcd,
            "seed": options.seed,
        },
        "valence_table": {"version": valences.VERSION, "min_share": valences.MIN_SHARE},
        "versions": versions(
            ["latent3d", "numpy", "rdkit", "scipy"]
            + ["posebusters"] * (options.posebusters != 0)
            + ["fcd", "torch"] * options.fcd
        ),
        "energies": None,
        "reference_energies_sha256": standard.reference_energies_sha256,
    }


def _strictly_valid(scored: _Scored) -> str:
    """Of all sets together; `-` where that is not measured."""
    counts = [measures.counts.get("strict_validity") for _, measures in scored.sets]
    if None in counts or not len(scored.samples):
        return "-"
    return f"{100 * sum(counts) / len(scored.samples):.1f} %"


def _write_failures(path: Path, scored: _Scored) -> None:
    """Samples that are not strictly valid or fail PoseBusters, with the verdicts on them."""
    ledger = scored.ledger
    failed = ((ledger["strict"] != "ok") | ~ledger["posebusters"].isin([None, "ok"])).to_numpy()
    verdicts = ledger.loc[failed, ["sample_index", "id", "problem", "strict", "stability", "posebusters"]]
    molecules = [EMPTY if (m.atomic_numbers >= len(ELEMENTS)).any() else m for m in scored.samples.take(failed)]
    write_sdf(path, from_list(molecules, verdicts.reset_index(drop=True)))
