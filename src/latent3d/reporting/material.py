"""What tables and figures are made of: the rows of a benchmark, and the measurements of each, wherever they lie."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from latent3d.base.errors import UserError
from latent3d.base.files import read_json
from latent3d.base.layout import LEDGER, MEASURES, RUN, SAMPLES, Layout
from latent3d.data.molecules.molecules import Molecules
from latent3d.data.molecules.parquet import iterate_parquet
from latent3d.data.parquet import read_metadata
from latent3d.evaluation.measures_file import read_measures
from latent3d.reporting.rows import TableRow
from latent3d.reporting.sets import Sets


@dataclass(frozen=True)
class Material:
    """What a table or figure is made of.

    Attributes:
        benchmark: its name.
        rows: in their order.
        layout: where files lie.
        published: the table of published numbers, for what shows some.
    """

    benchmark: str
    rows: list[TableRow]
    layout: Layout
    published: pd.DataFrame | None = None

    def of_samples(self, row: TableRow, variant: str, file: str) -> list[Path]:
        """A file of a row's samples, one per training seed."""
        return [Path(self.layout.of_samples(self.benchmark, row.name, s, variant, file)) for s in row.train_seeds]

    def trained(self, row: TableRow, file: str) -> list[Path]:
        """A file of what a row trained, one per training seed."""
        return [Path(self.layout.trained(row.dataset, row.name, seed, file)) for seed in row.train_seeds]

    def of_stage(self, row: TableRow, stage: str, ending: str) -> list[Path]:
        """A file of a trained stage, one per training seed: it lies with the row that trains the stage."""
        file, owner = f"{stage}{ending}", row.stages[stage]
        return [Path(self.layout.trained(row.dataset, owner, seed, file)) for seed in row.train_seeds]

    def sets(self, row: TableRow, variant: str) -> Sets:
        """What is measured of a row's sets of samples, over all training and sampling seeds.

        Raises:
            UserError: a measurement is missing or unreadable.
        """
        return Sets(
            pd.concat([read_measures(file) for file in self.of_samples(row, variant, MEASURES)], ignore_index=True)
        )

    def all_sets(self) -> Iterator[tuple[TableRow, str, Sets]]:
        """Row, variant, and what is measured of its sets."""
        for row in self.rows:
            for variant in row.variants:
                yield row, variant, self.sets(row, variant)

    def first_samples(self, row: TableRow, variant: str, count: int) -> Molecules:
        """The first samples of the first training and sampling seed, at most `count`."""
        samples = next(iterate_parquet(self.of_samples(row, variant, SAMPLES)[0], count))
        return samples.take(_of_first_seed(samples.table))

    def first_of_ledger(self, row: TableRow, variant: str, count: int) -> pd.DataFrame:
        """The lines of those samples in their ledger.

        Raises:
            UserError: the ledger cannot be read.
        """
        file = self.of_samples(row, variant, LEDGER)[0]
        try:
            ledger = pd.read_csv(file, nrows=count)
            return ledger[_of_first_seed(ledger)]
        except (OSError, ValueError) as error:
            raise UserError(f"{file} cannot be read ({error}). Score its samples again.") from error

    def stage_runs(self, row: TableRow) -> list[dict[str, dict[str, Any]]]:
        """By training seed and stage, what the training cost (run.json)."""
        by_stage = {stage: [read_json(file) for file in self.of_stage(row, stage, ".run.json")] for stage in row.stages}
        return [{stage: runs[place] for stage, runs in by_stage.items()} for place in range(len(row.train_seeds))]

    def sampling_runs(self, row: TableRow, variant: str) -> list[dict[str, Any]]:
        """By training seed, what sampling cost (run.json), or what was done to the samples afterwards."""
        return [read_json(file) for file in self.of_samples(row, variant, RUN)]

    @cached_property
    def subset(self) -> str:
        """How many molecules are for training, validation and test, and whether fluorine is missing."""
        path = self.layout.dataset(self.rows[0].dataset)
        try:
            counts = pq.read_table(path, columns=["split"])["split"].to_pandas().value_counts()
        except FileNotFoundError as error:
            raise UserError(f"{path} does not exist. Run the rule `prepare` that makes it.") from error
        subset = ", ".join(f"{counts.get(name, 0)} {name}" for name in ("train", "valid", "test"))
        # The mirror of QM9 lacks the molecules with fluorine: every row made from it says so.
        return subset + (", F-free" if read_metadata(Path(path)).get("origin", {}).get("fluorine_free") else "")


def _of_first_seed(table: pd.DataFrame) -> np.ndarray:
    """[N] bool: the rows of the sampling seed that comes first."""
    return (table["seed"] == table["seed"].iloc[0]).to_numpy() if len(table) else np.zeros(0, bool)
