"""What tables and figures need to know about the rows of a dataset, and where their measurements are."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from latent3d.base.errors import UserError
from latent3d.data.molecules.parquet import read_metadata
from latent3d.reporting.catalogue import Geometry


class TableRow(BaseModel):
    """One row of config.yaml, resolved for one dataset.

    `position` is the row's place in config.yaml, which fixes its colour in every figure. `published` maps a geometry
    to the system id whose published numbers stand beside ours. `stages` maps a trained stage to the row that trains it
    (rows that are set alike share what is trained). In a sweep, `of` is the row that this one varies, and
    `settings` what is varied.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    base: str
    position: int
    geometries: list[Geometry]
    train_seeds: list[int]
    sample_seeds: list[int]
    stages: dict[str, str] = {}
    autoencoder: bool = False
    interpolation: bool = False
    samples_of: str | None = None
    submission: bool = False
    published: dict[Geometry, str] = {}
    of: str | None = None
    settings: dict[str, Any] = {}


def parse_rows(text: str) -> list[TableRow]:
    """Read the JSON list behind `--rows`.

    Raises:
        UserError: it is not JSON, or not a list of rows.
    """
    try:
        return TypeAdapter(list[TableRow]).validate_python(json.loads(text))
    except (json.JSONDecodeError, ValidationError) as error:
        raise UserError(f"--rows is not a JSON list of rows: {' '.join(str(error).split())}") from error


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


def check_choice(kind: str, name: str, known: tuple[str, ...]) -> None:
    """Raise UserError unless `name` is one of the known tables or figures."""
    if name not in known:
        raise UserError(f"There is no {kind} {name!r}. Choose one of: {', '.join(known)}.")
