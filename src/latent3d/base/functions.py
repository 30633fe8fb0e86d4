"""Functions that a YAML file names: `module:function`."""

import importlib
from collections.abc import Callable
from typing import Any

from latent3d.base.errors import UserError


def find_function(named: str, where: str) -> Callable[..., Any]:
    """The function of that name.

    Raises:
        UserError: there is none; `where` says what names it.
    """
    module, _, name = named.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{where}: {named!r} cannot be found ({error}). Give module:function.") from error
