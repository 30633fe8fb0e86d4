"""From a mapping (config.yaml and what lies on top of it) to a checked configuration."""

import re
from collections.abc import Mapping
from typing import Any

from latent3d.base.errors import UserError
from latent3d.base.validation import suggest, validate
from latent3d.plan.models import Configuration, Dataset, Sweep
from latent3d.plan.sweeps import variants
from latent3d.plan.systems import has_preset, system_defaults
from latent3d.reporting.catalogue import FIGURES, TABLES


def parse_configuration(raw: Mapping[str, Any]) -> Configuration:
    """Check a configuration mapping.

    Raises:
        UserError: names the wrong key, its close matches, and what is allowed.
    """
    configuration = validate(Configuration, raw, "config.yaml")
    _check_references(configuration)
    return configuration


def parse_dataset(raw: Any, where: str) -> Dataset:
    """Check the settings of one dataset; `where` names their place in the error (as `parse_configuration`)."""
    return validate(Dataset, raw, where)


def for_dataset(configuration: Configuration, dataset: str, key: str) -> Any:
    """A setting that a dataset may override: train_seeds, sample_seeds, sample_count or rows."""
    value = getattr(configuration.datasets[dataset], key)
    if value is not None:
        return value
    return list(configuration.rows) if key == "rows" else getattr(configuration, key)


def _check_references(configuration: Configuration) -> None:
    for name in configuration.all:
        if name not in configuration.datasets:
            raise UserError(f"config key all: there is no dataset {name!r}.{suggest(name, configuration.datasets)}")
    for key, names in (("rows", configuration.rows), ("submissions", configuration.submissions)):
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", name):
                raise UserError(f"config key {key}.{name}: use letters, digits and _ . + - in a row's name.")
    for name, submission in configuration.submissions.items():
        if name in configuration.rows:
            raise UserError(f"config key submissions.{name}: there is a row of that name already. Choose another.")
        for dataset in submission.datasets:
            if dataset not in configuration.datasets:
                raise UserError(
                    f"config key submissions.{name}.datasets: there is no dataset {dataset!r}."
                    + suggest(dataset, configuration.datasets)
                )
    for name, row in configuration.rows.items():
        system_defaults(row.base)
        if row.samples_of is not None and row.samples_of not in configuration.rows:
            raise UserError(
                f"config key rows.{name}.samples_of: there is no row {row.samples_of!r}."
                + suggest(row.samples_of, configuration.rows)
            )
        if row.samples_of is not None and configuration.rows[row.samples_of].samples_of is not None:
            raise UserError(
                f"config key rows.{name}.samples_of: {row.samples_of!r} starts from the samples of another row itself. "
                "Name a row that makes its own."
            )
    for name, sweep in configuration.sweeps.items():
        _check_sweep(name, sweep, configuration)
    for name, compared in configuration.comparisons.items():
        _check_comparison(name, compared, configuration)
    for name, dataset in configuration.datasets.items():
        if not name.isidentifier():
            raise UserError(f"config key datasets.{name}: use letters, digits and underscores in a dataset's name.")
        for table in TABLES:
            if name.startswith(f"{table}_"):
                raise UserError(
                    f"config key datasets.{name}: a dataset's name cannot begin with {table}_, or table_{name}.csv "
                    f"could be the {table} table of {name.removeprefix(f'{table}_')!r}. Give it another name."
                )
        for row in dataset.rows or []:
            if row not in configuration.rows:
                raise UserError(
                    f"config key datasets.{name}.rows: there is no row {row!r}." + suggest(row, configuration.rows)
                )
        known_presets = {"default"}.union(*(system_defaults(r.base).presets for r in configuration.rows.values()))
        if dataset.preset not in known_presets:
            raise UserError(
                f"config key datasets.{name}.preset: no system has a preset {dataset.preset!r}."
                + suggest(dataset.preset, known_presets)
            )
        systems = [configuration.rows[row].base for row in dataset.rows or configuration.rows]
        lacking = sorted({system for system in systems if not has_preset(system, dataset.preset)})
        if lacking:
            raise UserError(
                f"config key datasets.{name}.preset: {', '.join(lacking)} have no preset {dataset.preset!r}. List rows "
                f"of other systems alone (datasets.{name}.rows), or choose another preset."
            )


def _check_comparison(name: str, compared: list[str], configuration: Configuration) -> None:
    where, taken = f"config key comparisons.{name}:", (*FIGURES, *configuration.sweeps)
    if not name.isidentifier() or name in taken:
        raise UserError(f"{where} use letters, digits and underscores, and none of {', '.join(taken)}.")
    known = {**configuration.rows, **configuration.submissions}
    for row in compared:
        if row not in known:
            raise UserError(f"{where} there is no row {row!r}.{suggest(row, known)}")


def _check_sweep(name: str, sweep: Sweep, configuration: Configuration) -> None:
    where = f"config key sweeps.{name}"
    if not name.isidentifier() or name in FIGURES:
        raise UserError(f"{where}: use letters, digits and underscores, and none of {', '.join(FIGURES)}.")
    for key, values, known in (
        ("datasets", sweep.datasets, configuration.datasets),
        ("rows", sweep.rows, configuration.rows),
    ):
        for value in values:
            if value not in known:
                raise UserError(f"{where}.{key}: there is no {key[:-1]} {value!r}.{suggest(value, known)}")
    for key in sweep.vary:
        if "." not in key:
            raise UserError(f"{where}.vary: {key!r} must have the form stage.hyper-parameter, e.g. sampling.steps.")
    axis, values = list(sweep.vary.items())[-1]
    if not all(isinstance(value, int | float) for value in values):
        raise UserError(f"{where}.vary: the last setting, {axis!r}, is the x-axis: give it numbers, or put it before.")
    for variant in variants(configuration, name):
        if variant in configuration.rows:
            raise UserError(f"{where}: its variant {variant!r} has the name of a row. Rename the row.")
