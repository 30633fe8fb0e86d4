"""Generative systems: one folder each. The contract that all of them keep, and access by name.

A system is a package `latent3d.systems.<name>` with a `defaults.yaml` (see `plan.SystemDefaults`) and functions

    fit(stage, data, weights, hyperparameters, run) -> (TrainingResult, metadata)
        Train one stage on `data` (all splits), given the weights files of the stages it needs.
    sampler(weights, data, hyperparameters, run, source) -> draw(indices, seed) -> Molecules
        Load what sampling needs once; `draw` makes one molecule per sample index, in order, with the columns
        `sample_index`, `seed` and `status` (`ok` or the reason of the failure). The result of an index depends on
        (weights, seed, chunk of the index) alone. `source` is the folder of the row named by `samples_of`, if any.
        `data` is None where somebody samples with released weights: what networks need of it is in their weights.
    reconstruct(weights, molecules, run) -> Reconstruction          (systems with `autoencoder: true`)
    interpolate(weights, molecules, places, run) -> (frames, status)     (systems with `interpolation: true`)
        Decode the path between the codes of molecules 0 and 1, 2 and 3, ... at the places 0 to 1.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from latent3d.base.errors import UserError
from latent3d.base.validation import suggest
from latent3d.data.molecules.molecules import Molecule, Molecules

Draw = Callable[[range, int], Molecules]
"""What `sampler` gives: molecules of sample indices under a sampling seed."""


@dataclass(frozen=True)
class Reconstruction:
    """What an autoencoder makes of R held-out molecules.

    Attributes:
        index: [R] rows of the molecules that could be encoded, among those given.
        reference: the molecules themselves, in the system's own atom order.
        graphs: decoded from z_2d (positions NaN).
        conformers: decoded from z_3d and the true graph, in the atom order of `reference` (of one code for both: the
            decoded coordinates of the same places, whatever atoms were decoded there).
        shuffled: the same with the codes z_3d of other molecules: what the code adds to the graph; None where codes
            cannot be exchanged.
        latent_2d, latent_3d: code widths (of points: for as many as the largest training molecule has atoms; of one
            code for both, its width and 0).
        rotation_error, reflection_change: mean relative change of z_3d under a rotation, and under reflection (of
            points: after turning them back).
    """

    index: np.ndarray
    reference: list[Molecule]
    graphs: list[Molecule]
    conformers: list[Molecule]
    shuffled: list[Molecule] | None
    latent_2d: int
    latent_3d: int
    rotation_error: float
    reflection_change: float


def system_names() -> list[str]:
    """Names of all systems: the folders here that have a defaults.yaml."""
    return sorted(file.parent.name for file in Path(__file__).parent.glob("*/defaults.yaml"))


def load_system(name: str) -> ModuleType:
    """Import a system by name. Raises UserError if there is none."""
    if name not in system_names():
        raise UserError(f"There is no system {name!r}.{suggest(name, system_names())}")
    return importlib.import_module(f"latent3d.systems.{name}")
