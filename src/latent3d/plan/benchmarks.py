"""Benchmarks: a task on a dataset. Every dataset is one by itself, of unconditional generation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latent3d.plan.models import Benchmark, Configuration, Dataset
from latent3d.plan.systems import system_defaults
from latent3d.tasks import Task, read_task, task_names

UNCONDITIONAL = "unconditional"


@dataclass(frozen=True)
class PlannedBenchmark:
    """A benchmark with nothing left open.

    Attributes:
        name: in paths and targets.
        task: name of its task.
        dataset: name of the dataset.
        preset: of the systems, for this dataset.
        settings: what the task's requests are made with.
        rows: of its tables, without submissions.
        train_seeds: one training each of every row that is trained.
        sample_seeds: one set of samples each.
        sample_count: requests per sampling seed.
    """

    name: str
    task: str
    dataset: str
    preset: str
    settings: Mapping[str, Any]
    rows: tuple[str, ...]
    train_seeds: tuple[int, ...]
    sample_seeds: tuple[int, ...]
    sample_count: int

    @property
    def definition(self) -> Task:
        """The task.yaml."""
        return read_task(self.task)


def plan_benchmarks(configuration: Configuration) -> dict[str, PlannedBenchmark]:
    """All benchmarks by name: the datasets in their order, then the others."""
    of_datasets = {
        name: _planned(configuration, name, UNCONDITIONAL, name, dataset, {})
        for name, dataset in configuration.datasets.items()
    }
    others = {
        name: _planned(configuration, name, one.task, one.dataset, one, one.settings)
        for name, one in configuration.benchmarks.items()
    }
    return {**of_datasets, **others}


def _planned(
    configuration: Configuration,
    name: str,
    task: str,
    dataset: str,
    said: Dataset | Benchmark,
    settings: Mapping[str, Any],
) -> PlannedBenchmark:
    rows = rows_that_know(configuration, task) if said.rows is None else said.rows
    seeds = {key: getattr(said, key) or getattr(configuration, key) for key in ("train_seeds", "sample_seeds")}
    return PlannedBenchmark(
        name,
        task,
        dataset,
        configuration.datasets[dataset].preset,
        settings,
        tuple(rows),
        **{key: tuple(value) for key, value in seeds.items()},
        sample_count=said.sample_count or configuration.sample_count,
    )


def rows_that_know(configuration: Configuration, task: str) -> list[str]:
    """The rows that may stand in a task's tables: its own controls, and what systems that know the task make."""
    others = {name for other in task_names() for name in read_task(other).controls} - set(read_task(task).controls)
    return [
        name
        for name, row in configuration.rows.items()
        if name in read_task(task).controls or (name not in others and task in system_defaults(row.base).tasks)
    ]
