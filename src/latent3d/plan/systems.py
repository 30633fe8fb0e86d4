"""Systems by name: their stages, hyper-parameters and weights, as their defaults.yaml says. Never imports torch."""

from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any, get_args

import yaml
from pydantic import Field, model_validator

from latent3d.base.errors import UserError
from latent3d.base.validation import Strict, suggest, validate
from latent3d.judges import judge_names
from latent3d.plan.models import Precision, Row
from latent3d.systems import system_names


class Uses(Strict):
    """What a system or judge can do, and the stages whose weights it takes for that; absent where it cannot be done.

    `generate` answers requests, `predict` judges records. `encode` turns molecules into latents and decodes them
    (`latent3d reconstruct`), and `interpolate` the paths between latents (`latent3d interpolate`).
    """

    generate: list[str] = Field(default_factory=list)
    predict: list[str] = Field(default_factory=list)
    encode: list[str] = Field(default_factory=list)
    interpolate: list[str] = Field(default_factory=list)


class SystemDefaults(Strict):
    """A system's defaults.yaml: the only thing the DAG knows about it.

    `tasks` are those whose requests it answers. `stages` maps each trained stage, in order, to the stages it needs.
    `hyperparameters` maps stage names (and `sampling`) to their defaults; a preset overrides some of them for one kind
    of dataset; `choices` lists the words that `stage.name` may be. `published` maps a variant to the system id in the
    table of published numbers.
    """

    tasks: list[str] = Field(default_factory=list)
    stages: dict[str, list[str]]
    uses: Uses
    hyperparameters: dict[str, dict[str, Any]]
    presets: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    choices: dict[str, list[str]] = Field(default_factory=dict)
    published: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _only_stages_are_needed_and_used(self) -> "SystemDefaults":
        for key, names in [*self.stages.items(), *self.uses]:
            for name in names:
                if name not in self.stages:
                    raise ValueError(f"{key} names the stage {name!r}, which is none of {', '.join(self.stages)}")
        return self


@cache
def system_defaults(system: str) -> SystemDefaults:
    """Read systems/<system>/defaults.yaml, or that of a judge.

    Raises:
        UserError: there is no such system, or its file breaks the contract.
    """
    room = "judges" if system in judge_names() else "systems"
    path = resources.files(f"latent3d.{room}") / system / "defaults.yaml"
    if not path.is_file():
        raise UserError(f"There is no system {system!r}.{suggest(system, system_names())}")
    return validate(SystemDefaults, yaml.safe_load(path.read_text()), f"{room}/{system}/defaults.yaml")


def has_preset(system: str, preset: str) -> bool:
    """Whether a system knows a preset; one without any has the same settings for all."""
    presets = system_defaults(system).presets
    return preset == "default" or preset in presets or not presets


def hyperparameters(row: Row, stage: str, preset: str) -> dict[str, Any]:
    """The hyper-parameters of one stage (or of `sampling`) of a row: defaults, then preset, then overrides.

    Raises:
        UserError: an override or preset names a stage or hyper-parameter that the system does not have.
    """
    defaults = system_defaults(row.base)
    merged = dict(defaults.hyperparameters.get(stage, {}))
    for name, layer in ((f"preset {preset!r}", defaults.presets.get(preset, {})), ("overrides", row.overrides)):
        for wrong in sorted(set(layer) - set(defaults.hyperparameters)):
            raise UserError(
                f"{name} of system {row.base!r} names the stage {wrong!r}." + suggest(wrong, defaults.hyperparameters)
            )
        for wrong in sorted(set(layer.get(stage, {})) - set(merged)):
            raise UserError(
                f"{name} of system {row.base!r}, stage {stage!r}: unknown hyper-parameter {wrong!r}."
                + suggest(wrong, merged)
            )
        for key, value in layer.get(stage, {}).items():
            value = _checked_value(f"{name} of system {row.base!r}, {stage}.{key}", value, merged[key])
            allowed = defaults.choices.get(f"{stage}.{key}")
            if allowed and value not in allowed:
                raise UserError(f"{name} of system {row.base!r}, {stage}.{key}: {value!r}.{suggest(value, allowed)}")
            merged[key] = value
    return merged


def check_precision(name: str) -> None:
    """Raise UserError unless `name` is one of the precisions that the configuration may say."""
    if name not in get_args(Precision):
        raise UserError(f"precision: {name!r} is not one of {', '.join(get_args(Precision))}.")


def check_stage(system: str, stage: str, needs: Iterable[str]) -> None:
    """Check a stage's name and that exactly the weights it needs are given.

    Raises:
        UserError: what is unknown or missing, and what is allowed.
    """
    stages = system_defaults(system).stages
    if stage not in stages:
        raise UserError(f"System {system!r} has no stage {stage!r}.{suggest(stage, stages)}")
    check_weights(f"stage {stage!r} of system {system!r}", needs, stages[stage])


def check_weights(what: str, given: Iterable[str], needed: Iterable[str]) -> None:
    """Raise UserError unless the names of the given weights are those needed."""
    if sorted(given) != sorted(needed):
        wanted = ", ".join(f"{name}=FILE" for name in needed) or "none"
        raise UserError(f"Weights for {what}: got {', '.join(sorted(given)) or 'none'}; give {wanted}.")


def _checked_value(where: str, value: Any, default: Any) -> Any:
    """A hyper-parameter in the type of its default; a count is at least 1, and no number is negative."""
    number = isinstance(default, int | float) and not isinstance(default, bool)
    if number and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise UserError(f"{where}: {value!r} is not a number (the default is {default!r}).")
    if not number and type(value) is not type(default):
        raise UserError(f"{where}: {value!r} is not of the same type as the default {default!r}.")
    if number and not 0 <= value < float("inf"):
        raise UserError(f"{where}: {value!r} must be a number of at least 0.")
    if isinstance(default, int) and number and (value != int(value) or value < min(default, 1)):
        raise UserError(f"{where}: {value!r} must be a whole number of at least {min(default, 1)}.")
    # 2.0 layers are 2, and 1 and 1.0 are one configuration.
    return type(default)(value) if number else value
