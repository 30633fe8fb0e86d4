"""Types of settings: what a number, a count and a flag may be.

A stage's settings are a class; a setting is a field of it with its type, its default and, as a comment, what it means.
Modules called `settings` import no torch: whoever plans an experiment reads them.
"""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from latent3d.base.validation import Strict


class Settings(Strict):
    """The settings of a stage, or what several stages have in common."""


def refused(message: str) -> PydanticCustomError:
    """What a validator raises; `message` goes on after the setting and its value: "must be even"."""
    return PydanticCustomError("refused", message)


def stage_of(info: ValidationInfo) -> str:
    """`topology.` in the settings of a stage of that name, to be put before a setting in a message."""
    return f"{info.context['stage']}." if info.context else ""


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("not_a_number", "is not a number")
    if not 0 <= value < float("inf"):
        raise refused("must be a number of at least 0")
    return value


def _whole(least: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if _number(value) != int(value) or value < least:
            raise refused(f"must be a whole number of at least {least}")
        return int(value)  # 2.0 layers are 2: equal numbers are one configuration

    return check


def _share(value: Any) -> int | float:
    if _number(value) >= 1:
        raise refused("must be a number of at least 0 and below 1")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise refused("must be true or false")
    return value


Number = Annotated[float, BeforeValidator(_number)]
"""Finite, at least 0."""
Share = Annotated[float, BeforeValidator(_share)]
"""At least 0 and below 1."""
Count = Annotated[int, BeforeValidator(_whole(1))]
"""Whole, at least 1."""
Natural = Annotated[int, BeforeValidator(_whole(0))]
"""Whole, at least 0."""
Flag = Annotated[bool, BeforeValidator(_flag)]
