"""Mistakes in a configuration, in plain sentences."""

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from latent3d.base.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """A model that has no keys but its own and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def validate(model: type[Model], raw: Any, where: str) -> Model:
    """The model of raw values; a UserError says what is wrong, in which key, and what is allowed."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        # An unknown key first: it is often the misspelt one that is said to be missing.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        raise UserError(_sentence(first, model, where)) from error


def _sentence(error: Mapping[str, Any], model: type[BaseModel], where: str) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "(top level)"
    if error["type"] == "extra_forbidden":
        wrong = str(error["loc"][-1])
        return f"{where}: unknown key {key!r}.{suggest(wrong, _allowed_keys(model, error['loc']))}"
    if error["type"] == "missing":
        return f"{where}: key {key!r} is missing. Add it; config.yaml in the repository explains every key."
    return f"{where}: key {key!r}: {error['msg']} (got {error['input']!r})."


def _allowed_keys(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """The keys that may stand where an unknown one was found: those of the model that the way there leads to."""
    for key in location[:-1]:
        inner = _inner_model(model.model_fields[key].annotation) if key in model.model_fields else None
        # The name of an entry of a mapping (a row, a dataset) is no field: the model of its entries stays.
        model = inner or model
    return list(model.model_fields)


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, by itself or as the values of a mapping or list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [_inner_model(part) for part in get_args(annotation)]
    return next((model for model in found if model is not None), None)


def suggest(wrong: str, allowed: Any) -> str:
    """What was meant, if something comes close, and what is allowed; a tuple is in an order that says something."""
    allowed = list(allowed) if isinstance(allowed, tuple) else sorted(allowed)
    close = difflib.get_close_matches(wrong, allowed, n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return f"{meant} Allowed: {', '.join(allowed)}."
