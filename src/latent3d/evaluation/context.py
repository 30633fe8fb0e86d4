"""What families of measures get beside samples and requests."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from latent3d.base.workers import Workers
from latent3d.data.molecules.status import USABLE_STATUSES
from latent3d.evaluation.analysis.population import Population
from latent3d.evaluation.analysis.reference import Reference


@dataclass(frozen=True)
class Options:
    """What is measured, beside what always is.

    Attributes:
        posebusters: samples that get PoseBusters' quick tests; None for all.
        energy_ratio: those of them that get its slow energy-ratio test; None for all.
        fcd: whether to compute the Fréchet ChemNet distance.
        seed: of the draws: folds, subsets, bootstrap.
    """

    posebusters: int | None = None
    energy_ratio: int | None = 1000
    fcd: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Context:
    """Of one set of N samples.

    Attributes:
        status: [N] what became of each sample.
        reference: what to compare with; without one, values that need it are missing.
        energies: the N rows of energies.parquet, if there is one.
        reference_energies: those of real molecules.
        judged: what the task's trained predictors say, N rows; None without any.
        flat: True if the samples have no coordinates (SMILES): what needs them is missing.
        options: what to measure.
        workers: that run `workers.run_task`.
        population: the samples as analysed, made when it is first asked for.
    """

    status: list[str]
    reference: Reference | None
    energies: pd.DataFrame | None
    reference_energies: pd.DataFrame | None
    judged: pd.DataFrame | None
    flat: bool
    options: Options
    workers: Workers
    population: Callable[[], Population]

    @property
    def usable(self) -> np.ndarray:
        """[N] bool: the sample leaves a molecule to be judged."""
        return np.isin(np.array(self.status, dtype=object), USABLE_STATUSES)
