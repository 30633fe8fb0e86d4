"""Generative systems: one folder each. The contract that all of them keep, and access by name.

A system is a folder `systems/<name>/` with

    defaults.yaml   what the DAG knows of it (see `plan.SystemDefaults`)
    settings.py     `SETTINGS`: by stage the class of its settings, `sampling` among them; no torch
    system.py       the functions of `System`
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

from latent3d.base.errors import UserError
from latent3d.base.settings import Settings
from latent3d.base.validation import suggest

if TYPE_CHECKING:  # the plan of an experiment reads names here: it must start fast, and never imports torch
    import numpy as np
    import pandas as pd
    import torch

    from latent3d.base.run import Run
    from latent3d.data.molecules.molecules import Molecule, Molecules
    from latent3d.training.loop import TrainingResult

Parts = Mapping[str, Path]
"""Weights files by stage."""

Generate = Callable[["pd.DataFrame"], "Molecules"]
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


Latents = Mapping[str, "torch.Tensor"]
"""Latents of M molecules by name, [M, ...] each: `z_2d` tells the graph and `z_3d` its conformation; `z`, of systems in
which one latent tells both."""


@dataclass(frozen=True)
class Encoded:
    """What a codec makes of molecules.

    Attributes:
        index: [M] rows of those that could be encoded, among those given.
        molecules: [M] these, in the codec's own order of atoms.
        latents: of these.
        read: the same as the codec reads them.
    """

    index: np.ndarray
    molecules: list[Molecule]
    latents: Latents
    read: Any


class Codec(Protocol):
    """Encoder and decoder of a system, loaded.

    Attributes:
        latent_2d: how many numbers tell the graph of a molecule, and, where one latent tells both, its conformation.
        latent_3d: how many tell its conformation alone (of points: of as many as the largest training molecule has).
    """

    latent_2d: int
    latent_3d: int

    def encode(self, molecules: Molecules) -> Encoded:
        """Latents of the molecules that have a place in them."""

    def decode(self, latents: Latents, generator: torch.Generator, given: Encoded | None = None) -> Molecules:
        """Molecules of latents, with the column `status`.

        Args:
            latents: [M, ...] each.
            generator: on the CPU, of the random numbers that a decoder may read.
            given: M encoded molecules: their conformers are decoded, from their graphs and the latents; of systems that
                decode atoms and coordinates at once, the coordinates of the same places, whatever atoms are decoded
                there. None: the graphs are decoded, too.
        """

    def change(self, encoded: Encoded, turn: torch.Tensor) -> float:
        """Mean relative change of the latents of coordinates when an orthogonal matrix [3, 3] turns the molecules.

        Latents that turn with the molecules (points) are turned back before.
        """


class System(Protocol):
    """What the module of every system gives."""

    def fit(
        self, stage: str, data: Molecules, parts: Parts, settings: Any, run: Run
    ) -> tuple[TrainingResult, dict[str, Any]]:
        """Train one stage on `data` (all splits), given the weights of the stages it needs.

        Returns the result, and the metadata that its weights file must know beside the settings.
        """

    def generator(self, parts: Parts, settings: Any, context: Context, run: Run) -> Generate:
        """Load once what sampling needs; what is given answers requests, chunk by chunk."""

    def codec(self, parts: Parts, run: Run) -> Codec:
        """Load the encoder and decoder of a system that states `uses: {encode: ...}`."""


def system_names() -> list[str]:
    """Names of all systems: the folders here that have a defaults.yaml."""
    return sorted(file.parent.name for file in Path(__file__).parent.glob("*/defaults.yaml"))


def load_system(name: str) -> System:
    """Import a system by name. Raises UserError if there is none."""
    return cast(System, _module(name, "system"))


def system_settings(name: str) -> dict[str, type[Settings]]:
    """The settings of a system by stage, `sampling` among them. Raises UserError if there is no such system."""
    return _module(name, "settings").SETTINGS


def _module(name: str, part: str) -> ModuleType:
    if name not in system_names():
        raise UserError(f"There is no system {name!r}.{suggest(name, system_names())}")
    return importlib.import_module(f"latent3d.systems.{name}.{part}")
