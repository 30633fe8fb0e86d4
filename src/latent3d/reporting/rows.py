"""What tables and figures need to know about the rows of a benchmark: names, seeds, variants, who trains what."""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from latent3d.base.errors import UserError


class TableRow(BaseModel):
    """One row of config.yaml, resolved for one benchmark.

    `dataset` is the benchmark's. `position` is the row's place in config.yaml, which fixes its colour in every figure.
    `variants` are those of its samples, `raw` or what was done to them afterwards; `published` maps one to the system
    id whose published numbers stand beside ours. `stages` maps a trained stage to the row that trains it (rows that are
    set alike share what is trained). In a sweep, `of` is the row that this one varies, and `settings` what is varied.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    base: str
    position: int
    dataset: str
    variants: list[str]
    train_seeds: list[int]
    sample_seeds: list[int]
    stages: dict[str, str] = {}
    autoencoder: bool = False
    interpolation: bool = False
    samples_of: str | None = None
    submission: bool = False
    published: dict[str, str] = {}
    of: str | None = None
    settings: dict[str, Any] = {}


class ShownBenchmark(BaseModel):
    """A benchmark of the report, with the rows of its tables.

    `shared` maps the figures that the configuration names to `sweep` or `comparison`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    task: str
    rows: list[TableRow]
    shared: dict[str, str] = {}


def parse_rows(text: str) -> list[TableRow]:
    """Read the JSON list behind `--rows`.

    Raises:
        UserError: it is not JSON, or not a list of rows.
    """
    return _parse(TypeAdapter(list[TableRow]), text, "--rows is not a JSON list of rows")


def parse_benchmark(text: str) -> ShownBenchmark:
    """Read the JSON behind `--benchmark` of the report.

    Raises:
        UserError: it is not JSON, or not a benchmark.
    """
    return _parse(TypeAdapter(ShownBenchmark), text, "--benchmark is not JSON with name, task and rows")


def _parse(adapter: TypeAdapter[Any], text: str, mistake: str) -> Any:
    try:
        return adapter.validate_python(json.loads(text))
    except (json.JSONDecodeError, ValidationError) as error:
        raise UserError(f"{mistake}: {' '.join(str(error).split())}") from error
