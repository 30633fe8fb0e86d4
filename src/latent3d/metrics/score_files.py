"""Files of molecules to metrics.json and ledger.csv: what `latent3d score` and `latent3d reference` do."""

import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

from latent3d.energy.energies_file import NAME as ENERGIES
from latent3d.energy.energies_file import read_energies
from latent3d.errors import UserError
from latent3d.files import atomic_path, beside, hash_file, write_json
from latent3d.metrics import stability
from latent3d.metrics.reference import Reference, make_reference, read_reference_molecules
from latent3d.metrics.reference_file import cached_statistics, dataset_file, read_reference, write_reference
from latent3d.metrics.score import Options, measure_floor, score
from latent3d.molecules.molecules import ELEMENTS, EMPTY, Molecules, from_list
from latent3d.molecules.parquet import read_metadata
from latent3d.molecules.read import doubts, has_coordinates, read_molecules
from latent3d.molecules.sdf import write_sdf
from latent3d.run import versions
from latent3d.workers import Workers, run_task

TASK_SECONDS = 600.0
FLOOR = {"posebusters": 1000, "energy_ratio": 100}
"""Test molecules that get PoseBusters' tests in the statistics of `--reference`: enough for a floor."""


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


def get_reference(name: str, workers: Workers, processes: int, with_fcd: bool) -> Reference:
    """The statistics of `mini`, `qm9`, a molecule file, or those in a .safetensors file; cached when first made.

    Raises:
        UserError: there is no such file, or no statistics can be made of it.
    """
    if name.endswith(".safetensors"):
        return read_reference(Path(name))
    file = dataset_file(name, processes)
    cached = cached_statistics(file)
    if cached.is_file():
        reference = read_reference(cached)
        if reference.chemnet is not None or not with_fcd:
            return reference
    reference = _make(file, workers, processes, Options(fcd=with_fcd, **FLOOR))
    write_reference(cached, reference)
    print(f"reference: statistics of {name} are kept in {cached} from now on", file=sys.stderr)
    return reference


def make_reference_file(dataset: Path, out: Path, options: Options, processes: int) -> None:
    """Write the statistics of a dataset.parquet and what its test molecules score.

    Raises:
        UserError: the dataset is missing, unreadable, or has no usable training molecules.
    """
    with Workers(run_task, processes, TASK_SECONDS) as workers:
        write_reference(out, _make(dataset, workers, processes, options))


def _make(file: Path, workers: Workers, processes: int, options: Options) -> Reference:
    molecules = read_reference_molecules(file, processes)
    reference = make_reference(molecules, file, workers, options.fcd)
    return measure_floor(reference, molecules.split("test"), workers, options)


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
