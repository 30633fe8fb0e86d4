"""Statistics that samples are compared with, made once and kept: `latent3d reference`, and `--reference` by name."""

import os
import sys
from pathlib import Path

from latent3d.base.errors import UserError
from latent3d.base.files import hash_configuration, hash_file, resource
from latent3d.base.run import versions
from latent3d.base.workers import Workers, run_task
from latent3d.commands.families import measure_families
from latent3d.data.datasets.qm9 import MIRROR_VARIABLE, make_qm9
from latent3d.evaluation.analysis.reference import Reference, make_reference, read_reference_molecules
from latent3d.evaluation.analysis.reference_file import VERSION, read_reference, write_reference
from latent3d.evaluation.context import Options
from latent3d.evaluation.score import measure_floor

TASK_SECONDS = 600.0


FLOOR = {"posebusters": 1000, "energy_ratio": 100}
"""Test molecules that get PoseBusters' tests in the statistics of `--reference`: enough for a floor."""


def cache_folder() -> Path:
    """Where datasets and statistics of `--reference` are kept: LATENT3D_CACHE, else the user's cache folder."""
    own = os.environ.get("LATENT3D_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "latent3d"


def cached_statistics(dataset: Path) -> Path:
    """Where the statistics of a dataset file are cached; named by its content and by what the numbers depend on."""
    depends_on = [VERSION, hash_file(dataset), versions(["rdkit", "fcd", "posebusters"])]
    return cache_folder() / "reference" / f"{hash_configuration(depends_on)}.safetensors"


def dataset_file(name: str, processes: int) -> Path:
    """The molecule file behind `mini`, `qm9` (made in the cache when first asked for) or a path.

    Raises:
        UserError: there is no such file, or QM9 cannot be had.
    """
    if name == "mini":
        path = resource("mini.parquet")
        if not path.is_file():
            raise UserError("--reference mini: the embedded dataset is not here. Run latent3d from its repository.")
        return path
    if name == "qm9":
        path = cache_folder() / ("qm9-mirror.parquet" if MIRROR_VARIABLE in os.environ else "qm9.parquet")
        if not path.is_file():
            print(f"reference qm9: the dataset is kept in {path} from now on", file=sys.stderr)
            make_qm9(path, cache_folder() / "downloads", processes)
        return path
    if not Path(name).is_file():
        raise UserError(f"--reference {name}: there is no such file. Give mini, qm9 or a file of molecules.")
    return Path(name)


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
    families = measure_families("unconditional")
    return measure_floor(reference, molecules.split("test"), families, workers, options)
