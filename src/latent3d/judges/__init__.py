"""Judges: trained predictors that measure. One folder each, trained by the same rule as systems.

A judge is a package `latent3d.judges.<name>` with `defaults.yaml` and `settings.py` as a system has them (see
`plan.SystemDefaults`), and a module `judge` with

    fit(stage, data, parts, settings, run) -> (TrainingResult, metadata)
        As of a system.
    predict(parts, records, run) -> DataFrame
        One line per record, in order, one column per property; missing where a record cannot be judged.
"""

import importlib
from pathlib import Path
from types import ModuleType

from latent3d.base.errors import UserError
from latent3d.base.settings import Settings
from latent3d.base.validation import suggest


def judge_names() -> list[str]:
    """Names of all judges: the folders here that have a defaults.yaml."""
    return sorted(file.parent.name for file in Path(__file__).parent.glob("*/defaults.yaml"))


def load_judge(name: str) -> ModuleType:
    """Import a judge by name. Raises UserError if there is none."""
    return _module(name, "judge")


def judge_settings(name: str) -> dict[str, type[Settings]]:
    """The settings of a judge by stage. Raises UserError if there is no such judge."""
    return _module(name, "settings").SETTINGS


def _module(name: str, part: str) -> ModuleType:
    if name not in judge_names():
        raise UserError(f"There is no judge {name!r}.{suggest(name, judge_names())}")
    return importlib.import_module(f"latent3d.judges.{name}.{part}")
