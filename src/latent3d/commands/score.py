"""Files of molecules to metrics.json and ledger.csv: what `latent3d score` and `latent3d reference` do."""

import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

from latent3d.base.errors import UserError
from latent3d.base.files import atomic_path, beside, hash_file, write_json
from latent3d.base.run import versions
from latent3d.base.workers import Workers, run_task
from latent3d.calculations.energies_file import NAME as ENERGIES
from latent3d.calculations.energies_file import read_energies
from latent3d.commands.reference import TASK_SECONDS, get_reference
from latent3d.data.molecules.molecules import ELEMENTS, EMPTY, Molecules, from_list
from latent3d.data.molecules.parquet import read_metadata
from latent3d.data.molecules.read import doubts, has_coordinates, read_molecules
from latent3d.data.molecules.sdf import write_sdf
from latent3d.evaluation.reference import Reference
from latent3d.evaluation.score import Options, score
from latent3d.evaluation.validity import stability


def score_files(
    files: list[Path],
    outs: list[Path],
    reference: str | None,
    reference_energies: Path | None,
    options: Options,
    processes: int,
    failures: bool,
) -> list[dict[str, Any]]:
    """Write metrics.json and ledger.csv (and failures.sdf) of each file into its folder of `outs`; return the former.

    energies.parquet beside a file (`energy` writes it) gives the energy metrics; they are null otherwise.

    Raises:
        UserError: a file is missing or unreadable, energies.parquet is of other samples, or there is no reference.
    """
    for file in files:
        if not file.is_file():
            raise UserError(f"{file} does not exist. Check the path.")
    with Workers(run_task, processes, TASK_SECONDS) as workers:
        compared = None if reference is None else get_reference(reference, workers, processes, options.fcd)
        energies = None if reference_energies is None else read_energies(reference_energies)
        results = []
        for number, (file, out) in enumerate(zip(files, outs, strict=True), start=1):
            began = time.monotonic()
            metrics, ledger, samples = _score_file(file, out, compared, energies, options, workers)
            metrics["provenance"]["reference_energies_sha256"] = (
                None if reference_energies is None else hash_file(reference_energies)
            )
            write_json(out / "metrics.json", metrics)
            if failures:
                _write_failures(out / "failures.sdf", ledger, samples)
            results.append(metrics)
            valid = metrics["values"]["strict_validity"]
            print(
                f"score: {number} of {len(files)}: {file}: {metrics['n_requested']} samples, strictly valid "
                f"{'-' if valid is None else f'{100 * valid:.1f} %'} ({time.monotonic() - began:.0f} s)",
                file=sys.stderr,
            )
    return results


def _score_file(
    file: Path,
    out: Path,
    reference: Reference | None,
    reference_energies: pd.DataFrame | None,
    options: Options,
    workers: Workers,
) -> tuple[dict[str, Any], pd.DataFrame, Molecules]:
    samples = read_molecules(file)
    for doubt in doubts(file, samples):
        print(f"score: {doubt}", file=sys.stderr)
    sha256 = hash_file(file)
    energies_file = beside(file, ENERGIES)
    energies = _energies_of(energies_file, samples, sha256) if energies_file.is_file() else None
    ledger, metrics = score(
        samples, reference, workers, options, energies, reference_energies, flat=not has_coordinates(file)
    )
    metrics["reference"] = reference and {
        "sha256": reference.sha256,
        "description": reference.description,
        "floor": reference.floor,
        "floor_molecules": reference.floor_molecules,
    }
    metrics["provenance"] = {
        "samples": file.name,
        "samples_sha256": sha256,
        "energies_sha256": None if energies is None else hash_file(energies_file),
        "options": {
            "posebusters": "all" if options.posebusters is None else options.posebusters,
            "energy_ratio": "all" if options.energy_ratio is None else options.energy_ratio,
            "fcd": options.fcd,
            "seed": options.seed,
        },
        "valence_table": {"version": stability.VERSION, "min_share": stability.MIN_SHARE},
        "versions": versions(
            ["latent3d", "numpy", "rdkit", "scipy"]
            + ["posebusters"] * (options.posebusters != 0)
            + ["fcd", "torch"] * options.fcd
        ),
        "energies": None if energies is None else read_metadata(energies_file),
    }
    with atomic_path(out / "ledger.csv") as temporary:
        ledger.to_csv(temporary, index=False)
    return metrics, ledger, samples


def _write_failures(path: Path, ledger: pd.DataFrame, samples: Molecules) -> None:
    """Samples that are not strictly valid or fail PoseBusters, with the verdicts on them."""
    failed = ((ledger["strict"] != "ok") | ~ledger["posebusters"].isin([None, "ok"])).to_numpy()
    verdicts = ledger.loc[failed, ["sample_index", "id", "problem", "strict", "stability", "posebusters"]]
    molecules = [EMPTY if (m.atomic_numbers >= len(ELEMENTS)).any() else m for m in samples.take(failed)]
    write_sdf(path, from_list(molecules, verdicts.reset_index(drop=True)))


def _energies_of(path: Path, samples: Molecules, sha256: str) -> pd.DataFrame:
    energies = read_energies(path)
    index = samples.table.get("sample_index", pd.Series(range(len(samples))))
    if list(energies["sample_index"]) != list(index) or read_metadata(path).get("samples_sha256", sha256) != sha256:
        raise UserError(f"{path} is not of the samples beside it. Delete it and run latent3d energy again.")
    return energies
