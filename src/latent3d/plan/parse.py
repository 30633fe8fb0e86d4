"""From a mapping (config.yaml and what lies on top of it) to a checked configuration."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from latent3d.base.errors import UserError
from latent3d.base.validation import suggest, validate
from latent3d.plan.benchmarks import plan_benchmarks
from latent3d.plan.entries import all_figure_names, all_table_names
from latent3d.plan.models import Configuration, Dataset, Sweep
from latent3d.plan.sweeps import swept_rows
from latent3d.plan.systems import has_preset, hyperparameters, system_defaults
from latent3d.tasks import read_task, task_names


def parse_configuration(raw: Mapping[str, Any]) -> Configuration:
    """Check a configuration mapping. Its rows are those that it names and the controls of all tasks, these first.

    Raises:
        UserError: names the wrong key, its close matches, and what is allowed.
    """
    rows = raw.get("rows")
    configuration = validate(
        Configuration, {**raw, "rows": with_controls(rows) if isinstance(rows, dict) else rows}, "config.yaml"
    )
    _check_rows(configuration)
    _check_datasets(configuration)
    _check_benchmarks(configuration)
    _check_submissions(configuration)
    for name, sweep in configuration.sweeps.items():
        _check_sweep(name, sweep, configuration)
    for name, compared in configuration.comparisons.items():
        _check_comparison(name, compared, configuration)
    _check_settings(configuration)
    return configuration


def with_controls(rows: Mapping[str, Any]) -> dict[str, Any]:
    """The control rows of all tasks, changed where the configuration says so, then its other rows."""
    controls = {name: row for task in task_names() for name, row in read_task(task).controls.items()}
    changed = {name: _merged(row, rows[name]) if name in rows else row for name, row in controls.items()}
    return {**changed, **{name: row for name, row in rows.items() if name not in controls}}


def _merged(below: Any, above: Any) -> Any:
    """Mappings key by key, as Snakemake merges configuration files; of anything else what lies above."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: _merged(below[key], value) if key in below else value for key, value in above.items()}}


def parse_dataset(raw: Any, where: str) -> Dataset:
    """Check the settings of one dataset; `where` names their place in the error (as `parse_configuration`)."""
    return validate(Dataset, raw, where)


def _check_rows(configuration: Configuration) -> None:
    rows = configuration.rows
    for key, names in (("rows", rows), ("submissions", configuration.submissions)):
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", name):
                raise UserError(f"config key {key}.{name}: use letters, digits and _ . + - in a row's name.")
    for name, row in rows.items():
        system_defaults(row.base)
        where = f"config key rows.{name}.samples_of:"
        if row.samples_of is not None and row.samples_of not in rows:
            raise UserError(f"{where} there is no row {row.samples_of!r}.{suggest(row.samples_of, rows)}")
        if row.samples_of is not None and rows[row.samples_of].samples_of is not None:
            raise UserError(
                f"{where} {row.samples_of!r} starts from the samples of another row itself. "
                "Name a row that makes its own."
            )


def _check_datasets(configuration: Configuration) -> None:
    known_presets = {"default"}.union(*(system_defaults(row.base).presets for row in configuration.rows.values()))
    for name, dataset in configuration.datasets.items():
        _check_name("datasets", name, "dataset")
        _check_known(f"config key datasets.{name}.rows: there is no row", dataset.rows or [], configuration.rows)
        if dataset.preset not in known_presets:
            raise UserError(
                f"config key datasets.{name}.preset: no system has a preset {dataset.preset!r}."
                + suggest(dataset.preset, known_presets)
            )


def _check_benchmarks(configuration: Configuration) -> None:
    for name, benchmark in configuration.benchmarks.items():
        where = f"config key benchmarks.{name}"
        _check_name("benchmarks", name, "benchmark")
        if name in configuration.datasets:
            raise UserError(
                f"{where}: a dataset of that name is a benchmark by itself (unconditional). Choose another name."
            )
        _check_known(f"{where}.task: there is no task", [benchmark.task], task_names())
        _check_known(f"{where}.dataset: there is no dataset", [benchmark.dataset], configuration.datasets)
        _check_known(f"{where}.rows: there is no row", benchmark.rows or [], configuration.rows)
    _check_known("config key all: there is no benchmark", configuration.all, plan_benchmarks(configuration))


def _check_settings(configuration: Configuration) -> None:
    """Every preset is known and every hyper-parameter resolved once, so that mistakes show before any work."""
    for name, benchmark in plan_benchmarks(configuration).items():
        systems = [configuration.rows[row].base for row in benchmark.rows]
        lacking = sorted({system for system in systems if not has_preset(system, benchmark.preset)})
        if lacking:
            raise UserError(
                f"config key datasets.{benchmark.dataset}.preset: {', '.join(lacking)} have no preset "
                f"{benchmark.preset!r}. List rows of "
                f"other systems alone (datasets.{name}.rows), or choose another preset."
            )
        swept = [
            one.row
            for sweep, settings in configuration.sweeps.items()
            if name in settings.benchmarks
            for one in swept_rows(configuration, sweep).values()
        ]
        for row in [*(configuration.rows[row] for row in benchmark.rows), *swept]:
            for stage in [*system_defaults(row.base).stages, "sampling"]:
                hyperparameters(row, stage, benchmark.preset)


def _check_name(key: str, name: str, what: str) -> None:
    """A name that table and figure files can carry, and in which no other table's name can be read."""
    if not name.isidentifier():
        raise UserError(f"config key {key}.{name}: use letters, digits and underscores in a {what}'s name.")
    for table in all_table_names():
        if name.startswith(f"{table}_"):
            raise UserError(
                f"config key {key}.{name}: a {what}'s name cannot begin with {table}_, or table_{name}.csv "
                f"could be the {table} table of {name.removeprefix(f'{table}_')!r}. Give it another name."
            )


def _check_submissions(configuration: Configuration) -> None:
    known = plan_benchmarks(configuration)
    for name, submission in configuration.submissions.items():
        where = f"config key submissions.{name}"
        if name in configuration.rows:
            raise UserError(f"{where}: there is a row of that name already. Choose another.")
        _check_known(f"{where}.benchmarks: there is no benchmark", submission.benchmarks, known)


def _check_comparison(name: str, compared: list[str], configuration: Configuration) -> None:
    where, taken = f"config key comparisons.{name}:", (*all_figure_names(), *configuration.sweeps)
    if not name.isidentifier() or name in taken:
        raise UserError(f"{where} use letters, digits and underscores, and none of {', '.join(taken)}.")
    _check_known(f"{where} there is no row", compared, {**configuration.rows, **configuration.submissions})


def _check_sweep(name: str, sweep: Sweep, configuration: Configuration) -> None:
    where, taken = f"config key sweeps.{name}", all_figure_names()
    if not name.isidentifier() or name in taken:
        raise UserError(f"{where}: use letters, digits and underscores, and none of {', '.join(taken)}.")
    known = plan_benchmarks(configuration)
    _check_known(f"{where}.benchmarks: there is no benchmark", sweep.benchmarks, known)
    _check_known(f"{where}.rows: there is no row", sweep.rows, configuration.rows)
    for key in sweep.vary:
        if "." not in key:
            raise UserError(f"{where}.vary: {key!r} must have the form stage.hyper-parameter, e.g. sampling.steps.")
    axis, values = list(sweep.vary.items())[-1]
    if not all(isinstance(value, int | float) for value in values):
        raise UserError(f"{where}.vary: the last setting, {axis!r}, is the x-axis: give it numbers, or put it before.")
    for row in swept_rows(configuration, name):
        if row in configuration.rows:
            raise UserError(f"{where}: its variant {row!r} has the name of a row. Rename the row.")


def _check_known(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            raise UserError(f"{what} {name!r}.{suggest(name, known)}")
