"""The tables and figures of tasks: entries of the catalogue, or of a task's own."""

from latent3d.base.validation import validate
from latent3d.reporting.catalogue import FIGURES, TABLES, Entry, entries
from latent3d.tasks import read_task, task_names


def tables_of(task: str) -> dict[str, Entry]:
    """The tables of a task by name, the main one first: entries of the catalogue, or of its own."""
    return _entries(task, "tables", TABLES)


def figures_of(task: str) -> dict[str, Entry]:
    """The figures of a task by name, likewise."""
    return _entries(task, "figures", FIGURES)


def _entries(task: str, key: str, known: dict[str, Entry]) -> dict[str, Entry]:
    where = f"tasks/{task}/task.yaml"
    listed = [
        item if isinstance(item, str) else validate(Entry, item, f"{where}, {key}")
        for item in getattr(read_task(task), key)
    ]
    return entries(known, listed, f"{where}, {key}")


def all_table_names() -> list[str]:
    """Names of the tables of all tasks."""
    return list(dict.fromkeys(name for task in task_names() for name in tables_of(task)))


def all_figure_names() -> list[str]:
    """Names of the figures of all tasks."""
    return list(dict.fromkeys(name for task in task_names() for name in figures_of(task)))
