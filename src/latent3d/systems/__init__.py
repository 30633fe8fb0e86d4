"""Generative systems: one folder each. The contract that all of them keep, and access by name.

A system is a package `latent3d.systems.<name>` with a `defaults.yaml` (see `plan.SystemDefaults`) and the functions of
`System`. Systems that state `uses: {encode: ...}` have one or two more:

    reconstruct(parts, molecules, run) -> Reconstruction
    interpolate(parts, molecules, places, run) -> (frames, status)     (`uses: {interpolate: ...}`)
        Decode the path between the codes of molecules 0 and 1, 2 and 3, ... at the places 0 to 1.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import pandas as pd

from latent3d.base.errors import UserError
from latent3d.base.run import Run
from latent3d.base.validation import suggest
from latent3d.data.molecules.molecules import Molecule, Molecules

if TYPE_CHECKING:  # the plan of an experiment reads names here and never imports torch
    from latent3d.training.loop import TrainingResult

Parts = Mapping[str, Path]
"""Weights files by stage."""

Generate = Callable[[pd.DataFrame], Molecules]
"""Requests to records: one record per request, in order.

Requests have the columns `seed`, `sample_index`, and those of the task's conditions. Records have the columns
`sample_index`, `seed` and `status` (`ok` or the reason of the failure, as `data.molecules.status` names it). What
becomes of a request depends on weights, settings, the request and its chunk (`diffusion.streams.CHUNK`) alone, whatever
is asked for beside it.
"""


@dataclass(frozen=True)
class Context:
    """What requests may point to.

    Attributes:
        data: the dataset, all splits; None where somebody samples with released weights: what networks need of it is in
            their weights.
        source: samples of the row named by `samples_of`, of all seeds (columns `seed`, `sample_index`, `status`).
    """

    data: Molecules | None = None
    source: Molecules | None = None


class System(Protocol):
    """What the module of every system gives."""

    def fit(
        self, stage: str, data: Molecules, parts: Parts, settings: dict[str, Any], run: Run
    ) -> tuple[TrainingResult, dict[str, Any]]:
        """Train one stage on `data` (all splits), given the weights of the stages it needs.

        Returns the result, and the metadata that its weights file must know beside the settings.
        """

    def generator(self, parts: Parts, settings: dict[str, Any], context: Context, run: Run) -> Generate:
        """Load once what sampling needs; what is given answers requests, chunk by chunk."""


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


def load_system(name: str) -> System:
    """Import a system by name. Raises UserError if there is none."""
    if name not in system_names():
        raise UserError(f"There is no system {name!r}.{suggest(name, system_names())}")
    return cast(System, importlib.import_module(f"latent3d.systems.{name}"))
