"""The engine: one calculation per molecule, with a time limit, a reason for every failure, resumption and shards.

Stage after stage (single points, relaxations, ...), each over the molecules of all sets at once, so that no core waits
for the last molecule of a set. Finished chunks are kept, so that interrupted work continues and no work is done twice.
"""

import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latent3d.base.chunks import FinishedChunks
from latent3d.base.progress import duration
from latent3d.base.run import versions
from latent3d.base.workers import Outcome, Workers, run_task
from latent3d.calculations.stages import EXPENSIVE, SINGLE_POINT, Stage, Subject, obstacle, unpaired_electrons
from latent3d.data.molecules.content import hash_molecules
from latent3d.data.molecules.molecules import Molecules
from latent3d.data.molecules.status import USABLE_STATUSES, sample_status

CHUNK = 100
"""Consecutive molecules of a set whose results are kept together; a shard is a whole number of chunks."""
STAGES = (SINGLE_POINT, *EXPENSIVE)
LIMITS = {stage.name: stage.time_limit for stage in STAGES}

Values = tuple[str, dict[str, Any]]
"""Status of a calculation, and what it gave."""


@dataclass(frozen=True)
class Request:
    """How many molecules of each set get what beside a single point, which all get; None for all.

    The same of sets of equal size, and nested: those of a smaller number are among those of a larger one.

    Attributes:
        relaxation: GFN2-xTB relaxations.
        strain: MMFF94s strain energies.
        dynamics: MMFF94s molecular dynamics.
        gfn2_dynamics: GFN2-xTB molecular dynamics.
        seed: of the draw, and of the dynamics.
    """

    relaxation: int | None = None
    strain: int | None = None
    dynamics: int | None = 0
    gfn2_dynamics: int | None = 0
    seed: int = 0

    def drawn(self, stage: Stage, n: int) -> np.ndarray:
        """[n] bool: the molecules that get a stage."""
        count = None if stage is SINGLE_POINT else getattr(self, stage.name)
        chosen = np.zeros(n, bool)
        chosen[np.random.default_rng(self.seed).permutation(n)[:count]] = True
        return chosen

    def provenance(self, limits: Mapping[str, float]) -> dict[str, Any]:
        """Everything but the molecules that results depend on."""
        return {
            "request": asdict(self),
            "time_limits": dict(limits),
            "level_of_theory": "GFN2-xTB (tblite), closed shell; MMFF94s (RDKit's parameters in OpenMM)",
            "versions": versions(["numpy", "openmm", "rdkit", "scipy", "tblite"]),
        }


class MoleculeSet:
    """The molecules of one sampling seed (or of one file): which stages they get, and what has come out so far.

    Args:
        molecules: with a column `sample_index`.
        request: what is computed.
        limits: seconds per molecule, by stage.
        checkpoints: folder for finished chunks.
    """

    def __init__(self, molecules: Molecules, request: Request, limits: Mapping[str, float], checkpoints: Path) -> None:
        self.molecules = molecules
        self.chunks = range(math.ceil(len(molecules) / CHUNK))
        self._index = molecules.table["sample_index"].tolist()
        self._asked = {stage.name: request.drawn(stage, len(molecules)) for stage in STAGES}
        self._seed = request.seed
        depends_on = {**request.provenance(limits), "molecules": hash_molecules(molecules)}
        self._kept: FinishedChunks[list[tuple[int, str, dict[str, Any]]]] = FinishedChunks(
            checkpoints, "energy", depends_on
        )
        self._obstacles = self._find_obstacles()
        self._outcomes: dict[str, dict[int, Values]] = {stage.name: {} for stage in STAGES}
        self._missing: Counter[tuple[str, int]] = Counter()
        for stage in STAGES:
            self._restore(stage)

    def limit_to(self, chunks: Iterable[int]) -> None:
        """Compute some of the chunks alone."""
        self.chunks = sorted(chunks)

    @property
    def rows(self) -> list[int]:
        """Places of the molecules that are computed."""
        return [row for chunk in self.chunks for row in self._rows_of(chunk)]

    def subject(self, row: int) -> Subject:
        """The molecule at a place, as the stages see it."""
        return Subject(self.molecules[row], self._charge(row), (self._seed, self._index[row]))

    def asked(self, stage: Stage) -> list[int]:
        """Rows that are to get a stage and can, as far as is known."""
        return [row for row in self.rows if self._asked[stage.name][row] and self._hindrance(stage, row) == "ok"]

    def rows_to_do(self, stage: Stage) -> list[int]:
        """Rows that are to get a stage and have no outcome of it yet."""
        return [row for row in self.asked(stage) if row not in self._outcomes[stage.name]]

    def plan(self, stage: Stage) -> None:
        """Count what every chunk waits for."""
        self._missing.update((stage.name, row // CHUNK) for row in self.rows_to_do(stage))

    def keep(self, stage: Stage, row: int, outcome: Outcome) -> None:
        """Take an outcome; save the chunk that it completes."""
        outcomes, chunk = self._outcomes[stage.name], row // CHUNK
        outcomes[row] = outcome.status, {key: _plain(value) for key, value in (outcome.value or {}).items()}
        self._missing[stage.name, chunk] -= 1
        if not self._missing[stage.name, chunk]:
            done = [(row, *outcomes[row]) for row in self._rows_of(chunk) if row in outcomes]
            self._kept.save(f"{stage.name}-{chunk}", done)

    def columns(self) -> dict[str, list[Any]]:
        """The lines of energies.parquet, column by column; missing is None."""
        rows, molecules = self.rows, self.molecules
        columns: dict[str, list[Any]] = {"sample_index": [self._index[row] for row in rows]}
        if "seed" in molecules.table:
            columns["seed"] = molecules.table["seed"].iloc[rows].tolist()
        columns |= {
            "atoms": [len(molecules[row]) for row in rows],
            "heavy_atoms": [int((molecules[row].atomic_numbers > 1).sum()) for row in rows],
            "charge": [self._charge(row) for row in rows],
            "unpaired_electrons": [unpaired_electrons(molecules[row], self._charge(row)) for row in rows],
        }
        for stage in STAGES:
            outcomes = [self._outcome(stage, row) for row in rows]
            columns[stage.status] = [status for status, _ in outcomes]
            for column, key in stage.columns.items():
                columns[column] = [values.get(key) for _, values in outcomes]
        return columns

    def _rows_of(self, chunk: int) -> range:
        return range(chunk * CHUNK, min(len(self.molecules), (chunk + 1) * CHUNK))

    def _find_obstacles(self) -> list[str]:
        """By row; a sample that had failed before keeps its own reason, whatever geometry it left."""
        before = sample_status(self.molecules)
        return [
            obstacle(molecule, self._charge(row)) if before[row] in USABLE_STATUSES else before[row]
            for row, molecule in enumerate(self.molecules)
        ]

    def _charge(self, row: int) -> int:
        """Of the molecule's graph; 0 where that is unknown, as for the perception of bonds."""
        charges = self.molecules[row].formal_charges
        return 0 if charges is None else int(charges.sum())

    def _hindrance(self, stage: Stage, row: int) -> str:
        """Why a stage cannot start, or `ok`."""
        if self._obstacles[row] != "ok" or not stage.needs_single_point:
            return self._obstacles[row]
        return self._outcomes[SINGLE_POINT.name].get(row, ("ok",))[0]

    def _outcome(self, stage: Stage, row: int) -> tuple[str | None, dict[str, Any]]:
        if not self._asked[stage.name][row]:
            return None, {}
        hindrance = self._hindrance(stage, row)
        return (hindrance, {}) if hindrance != "ok" else self._outcomes[stage.name][row]

    def _restore(self, stage: Stage) -> None:
        for chunk in self.chunks:
            name = f"{stage.name}-{chunk}"
            if name in self._kept:
                self._outcomes[stage.name].update(
                    {row: (status, values) for row, status, values in self._kept.load(name)}
                )


def compute(sets: Sequence[MoleculeSet], processes: int, limits: Mapping[str, float] = LIMITS) -> None:
    """Compute everything that the sets ask for and have not got yet."""
    with Workers(run_task, processes, max(limits.values())) as workers:
        for stage in STAGES:
            for molecules in sets:
                molecules.plan(stage)
            places = [(molecules, row) for molecules in sets for row in molecules.rows_to_do(stage)]
            if places:
                _compute_stage(stage, places, workers, limits[stage.name])


def _compute_stage(stage: Stage, places: list[tuple[MoleculeSet, int]], workers: Workers, time_limit: float) -> None:
    def finished(task: int, outcome: Outcome) -> None:
        molecules, row = places[task]
        molecules.keep(stage, row, outcome)

    workers.map(_Tasks(stage, places), f"energy: {stage.name}", finished, time_limit)


class _Tasks(Sequence):
    """Arguments of one stage, made when they are asked for."""

    def __init__(self, stage: Stage, places: list[tuple[MoleculeSet, int]]) -> None:
        self._stage, self._places = stage, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        molecules, row = self._places[index]
        return self._stage.function, self._stage.argument(molecules.subject(row))


def print_estimate(sets: Sequence[MoleculeSet], files: int, processes: int) -> None:
    """What there is to do, and for about how long."""
    seconds, parts = 0.0, []
    for stage in STAGES:
        to_do = [molecules.rows_to_do(stage) for molecules in sets]
        asked = sum(len(molecules.asked(stage)) for molecules in sets)
        count = sum(map(len, to_do))
        if asked:
            done = f" ({asked - count} of them done before)" if count < asked else ""
            parts.append(f"{asked} {stage.name}{done}")
        seconds += sum(stage.estimate(one.molecules.atom_counts[rows]) for one, rows in zip(sets, to_do, strict=True))
    print(
        f"energy: {sum(len(molecules.rows) for molecules in sets)} samples in {files} files: "
        f"{', '.join(parts) or 'nothing to compute'}; about {duration(seconds / processes)} on {processes} free cores",
        file=sys.stderr,
        flush=True,
    )


def _plain(value: Any) -> Any:
    """A number as JSON has it, to the last digit; what is no number is missing."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
