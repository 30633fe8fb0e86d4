"""Modules of RDKit's Contrib folder, which is shipped with RDKit but is no Python package."""

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

from rdkit import RDConfig

from latent3d.base.errors import UserError


@cache
def contrib_module(folder: str, name: str) -> ModuleType:
    """The module `name`.py of a folder of RDKit's Contrib, loaded once; `sys.path` stays as it is.

    Raises:
        UserError: this RDKit came without it.
    """
    path = Path(RDConfig.RDContribDir) / folder / f"{name}.py"
    if not path.is_file():
        raise UserError(f"RDKit came without {path}. Install rdkit from PyPI or conda-forge, which ship it.")
    spec = importlib.util.spec_from_file_location(f"rdkit_contrib_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
