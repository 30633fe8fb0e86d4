"""Generative systems: one folder each. The contract that all of them keep, and access by name.

A system is a package `latent3d.systems.<name>` with a `defaults.yaml` (see `config.SystemDefaults`) and functions

    fit(stage, data, weights, hyperparameters, run) -> None
        Train one stage on `data` (all splits) given the weights files of the stages it needs; write run.out.
    sample(weights, hyperparameters, run, indices, seed, source) -> Molecules
        One molecule per sample index, in order, with the columns of `SAMPLE_COLUMNS`. The result of an index depends
        on (weights, seed, index's chunk) alone. `source` is the row named by `samples_of`, if any.
    reconstruct(weights, hyperparameters, run, molecules) -> Reconstruction     (autoencoders only)
"""

import importlib
from types import ModuleType

from latent3d.config import system_defaults

SAMPLE_COLUMNS = ("sample_index", "seed", "status")
"""Columns of every samples file beside the molecules. `status` is `ok` or the reason of the failure."""


def load_system(name: str) -> ModuleType:
    """Import a system by name. Raises UserError if there is none."""
    system_defaults(name)
    return importlib.import_module(f"latent3d.systems.{name}")
