"""Tasks: what is asked of a system. One folder each, read by the DAG without torch.

A task is a folder `tasks/<name>/` with `task.yaml` (see `Task`), `requests.py` and `README.md`. `requests.py` has

    requests(data, settings, count, seeds) -> DataFrame
        One line per request: `seed`, `sample_index` (0 to count - 1 under every seed), the columns named by
        `conditions`, and `stratum` where results are wanted apart. `data` are the molecules of the dataset, `settings`
        what the benchmark says of it in config.yaml. The same data, settings and seed give the same lines, whatever
        other seeds are asked for.
"""

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from latent3d.base.errors import UserError
from latent3d.base.validation import suggest, validate

HERE = Path(__file__).parent


class Measure(BaseModel):
    """A family of measures of a task's own: its name, and `module:function` that measures (see evaluation/)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    function: str


class Task(BaseModel):
    """A task.yaml.

    `conditions` are the columns of the requests that a system must honour. `variants` are what is done to samples
    afterwards, the first of them as they were made. `measures`, `tables` and `figures` name families of evaluation/
    and entries of the catalogue, or are entries of the task's own; the first table is the main one. `controls` are
    rows that stand in every table of the task, in the words of config.yaml's `rows`. `judges` are trained predictors
    (judges/) whose predictions for the samples the measures read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    makes: Literal["molecules", "images"]
    conditions: list[str] = Field(default_factory=list)
    variants: list[str] = Field(min_length=1)
    measures: list[str | Measure] = Field(min_length=1)
    tables: list[str | dict[str, Any]] = Field(min_length=1)
    figures: list[str | dict[str, Any]] = Field(default_factory=list)
    controls: dict[str, dict[str, Any]] = Field(default_factory=dict)
    judges: list[str] = Field(default_factory=list)

    @field_validator("variants")
    @classmethod
    def _samples_as_made_come_first(cls, variants: list[str]) -> list[str]:
        if variants[0] != "raw":
            raise ValueError("the first must be raw, the samples as they were made")
        return variants


def task_names() -> list[str]:
    """Names of all tasks: the folders here that have a task.yaml."""
    return sorted(file.parent.name for file in HERE.glob("*/task.yaml"))


@cache
def read_task(name: str) -> Task:
    """Read tasks/<name>/task.yaml.

    Raises:
        UserError: there is no such task, or its file breaks the contract.
    """
    file = HERE / name / "task.yaml"
    if not file.is_file():
        raise UserError(f"There is no task {name!r}.{suggest(name, task_names())}")
    return validate(Task, yaml.safe_load(file.read_text()), f"tasks/{name}/task.yaml")


def requests_of(name: str) -> Callable[[Any, Mapping[str, Any], int, list[int]], Any]:
    """The function `requests` of a task."""
    read_task(name)
    return importlib.import_module(f"latent3d.tasks.{name}.requests").requests
