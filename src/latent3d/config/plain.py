"""Mistakes in a configuration, in plain sentences."""

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from latent3d.config.models import Configuration, Dataset, Energy, Metrics, Row, Submission, Sweep
from latent3d.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


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
    parts: dict[str, type[BaseModel]] = {
        "datasets": Dataset,
        "rows": Row,
        "submissions": Submission,
        "sweeps": Sweep,
    }
    if model is Configuration and location[0] in parts and len(location) > 2:
        return list(parts[location[0]].model_fields)
    sections: dict[str, type[BaseModel]] = {"metrics": Metrics, "energy": Energy}
    if model is Configuration and location[0] in sections and len(location) > 1:
        return list(sections[location[0]].model_fields)
    return list(model.model_fields)


def suggest(wrong: str, allowed: Any) -> str:
    """What was meant, if something comes close, and what is allowed."""
    allowed = sorted(allowed)
    close = difflib.get_close_matches(wrong, allowed, n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return f"{meant} Allowed: {', '.join(allowed)}."
