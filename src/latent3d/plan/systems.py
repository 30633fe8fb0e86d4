"""Systems by name: their stages, settings and weights, as their defaults.yaml and settings.py say. No torch."""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any, get_args

import yaml
from pydantic import Field, ValidationError, model_validator

from latent3d.base.errors import UserError
from latent3d.base.settings import Settings
from latent3d.base.validation import Strict, suggest, validate
from latent3d.judges import judge_names, judge_settings
from latent3d.plan.models import Precision, Row
from latent3d.systems import system_names, system_settings


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
    """A system's defaults.yaml: with its settings, the only thing the DAG knows about it.

    `extends` names a system of whose file all is taken but what is written here (and `published`). `tasks` are those
    whose requests it answers. `stages` maps each trained stage, in order, to the stages it needs. A preset changes some
    settings for one kind of dataset. `published` maps a variant to the system id in the table of published numbers.
    """

    extends: str | None = None
    tasks: list[str] = Field(default_factory=list)
    stages: dict[str, list[str]]
    uses: Uses
    presets: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
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
    """Read systems/<system>/defaults.yaml, or that of a judge, and that of the system it extends.

    Raises:
        UserError: there is no such system, or its file breaks the contract.
    """
    room = "judges" if system in judge_names() else "systems"
    path = resources.files(f"latent3d.{room}") / system / "defaults.yaml"
    if not path.is_file():
        raise UserError(f"There is no system {system!r}.{suggest(system, system_names())}")
    written = yaml.safe_load(path.read_text())
    if "extends" in written:
        inherited = system_defaults(written["extends"]).model_dump(exclude={"published"})
        written = _laid_over(inherited, written)
    return validate(SystemDefaults, written, f"{room}/{system}/defaults.yaml")


def _laid_over(below: Any, above: Any) -> Any:
    """`above` where it says something, else `below`; mappings key by key."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: _laid_over(below.get(key), value) for key, value in above.items()}}


def settings_classes(system: str) -> dict[str, type[Settings]]:
    """The settings of a system or judge, by stage."""
    return judge_settings(system) if system in judge_names() else system_settings(system)


def has_preset(system: str, preset: str) -> bool:
    """Whether a system knows a preset; one without any has the same settings for all."""
    presets = system_defaults(system).presets
    return preset == "default" or preset in presets or not presets


def settings(row: Row, stage: str, preset: str) -> Settings:
    """The settings of one stage (or of `sampling`) of a row: defaults, then preset, then overrides.

    Raises:
        UserError: an override or preset names a stage or setting that the system does not have, or a wrong value.
    """
    classes, presets = settings_classes(row.base), system_defaults(row.base).presets
    known, values, origin = classes[stage].model_fields, {}, {}
    for name, layer in ((f"preset {preset!r}", presets.get(preset, {})), ("overrides", row.overrides)):
        for wrong in sorted(set(layer) - set(classes)):
            raise UserError(f"{name} of system {row.base!r} names the stage {wrong!r}.{suggest(wrong, classes)}")
        for wrong in sorted(set(layer.get(stage, {})) - set(known)):
            raise UserError(
                f"{name} of system {row.base!r}, stage {stage!r}: unknown hyper-parameter {wrong!r}."
                + suggest(wrong, known)
            )
        values |= layer.get(stage, {})
        origin |= dict.fromkeys(layer.get(stage, {}), name)
    try:
        return classes[stage].model_validate(values, context={"stage": stage})
    except ValidationError as error:
        raise UserError(_sentence(error.errors()[0], classes[stage], row.base, stage, origin)) from error


def _sentence(
    error: Mapping[str, Any], model: type[Settings], system: str, stage: str, origin: Mapping[str, str]
) -> str:
    """What is wrong with a value, where it was set, and what may stand there."""
    if not error["loc"]:
        return f"system {system!r}: {error['msg']}."
    key, value = error["loc"][0], error["input"]
    where, field = f"{origin[key]} of system {system!r}, {stage}.{key}: {value!r}", model.model_fields[key]
    if error["type"] == "literal_error":
        return f"{where}.{suggest(str(value), get_args(field.annotation))}"
    default = f" (the default is {field.default!r})" if error["type"] == "not_a_number" else ""
    return f"{where} {error['msg']}{default}."


def hyperparameters(row: Row, stage: str, preset: str) -> dict[str, Any]:
    """`settings` as commands and files have them: names and values."""
    return settings(row, stage, preset).model_dump()


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
