"""Where the measurements behind tables and figures are."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from latent3d.base.errors import UserError
from latent3d.data.molecules.parquet import read_metadata
from latent3d.reporting.rows import TableRow


def training_folders(results: Path, dataset: str, row: TableRow) -> Iterator[tuple[int, Path]]:
    """(training seed, folder with its weights) of a row."""
    for seed in row.train_seeds:
        yield seed, results / dataset / row.name / f"train{seed}"


def stage_file(results: Path, dataset: str, row: TableRow, stage: str, seed: int, ending: str) -> Path:
    """A file of a trained stage of a row, `.run.json` or `.log.csv`: it lies with the row that trains the stage."""
    return results / dataset / row.stages[stage] / f"train{seed}" / f"{stage}{ending}"


def sample_folders(results: Path, dataset: str, row: TableRow, geometry: str) -> list[Path]:
    """Folders of all sets of samples of a row, over training and sampling seeds."""
    return [
        folder / f"sample{seed}" / geometry
        for _, folder in training_folders(results, dataset, row)
        for seed in row.sample_seeds
    ]


def describe_subset(results: Path, dataset: str) -> str:
    """How many molecules of a dataset are for training, validation and test, and whether fluorine is missing."""
    path = results / dataset / "dataset.parquet"
    try:
        counts = pq.read_table(path, columns=["split"])["split"].to_pandas().value_counts()
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist. Run the rule `prepare` that makes it.") from error
    subset = ", ".join(f"{counts.get(name, 0)} {name}" for name in ("train", "valid", "test"))
    # The mirror of QM9 lacks the molecules with fluorine: every row made from it says so.
    return subset + (", F-free" if read_metadata(path).get("origin", {}).get("fluorine_free") else "")
