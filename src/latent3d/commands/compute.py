"""Energies of generated samples: energies.parquet beside their file, one row per requested sample.

Stage after stage (single points, relaxations, ...), each over the samples of all files at once, so that no core waits
for the last molecule of a file. Finished chunks are kept, so that an interrupted run continues.
"""

import json
import math
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latent3d.base.errors import UserError
from latent3d.base.files import beside, hash_configuration, hash_file, part_of, read_json, write_text
from latent3d.base.run import versions
from latent3d.base.workers import Outcome, Workers, run_task
from latent3d.calculations.energies_file import NAME, shard_file, write_energies
from latent3d.calculations.stages import EXPENSIVE, SINGLE_POINT, Stage, Subject, obstacle, unpaired_electrons
from latent3d.data.molecules.read import has_coordinates, read_molecules
from latent3d.data.molecules.status import USABLE_STATUSES, sample_status

CHUNK = 100
"""Consecutive samples whose results are kept together; a shard is a whole number of chunks."""
STAGES = (SINGLE_POINT, *EXPENSIVE)
LIMITS = {stage.name: stage.time_limit for stage in STAGES}


@dataclass(frozen=True)
class Request:
    """How many samples of each file get what beside a single point, which all get; None for all.

    The same samples of files of equal length, and nested: those of a smaller number are among those of a larger one.

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
        """[n] bool: the samples that get a stage."""
        count = None if stage is SINGLE_POINT else getattr(self, stage.name)
        chosen = np.zeros(n, bool)
        chosen[np.random.default_rng(self.seed).permutation(n)[:count]] = True
        return chosen


def evaluate_files(
    files: Sequence[Path],
    request: Request,
    processes: int,
    checkpoints: Path,
    split: str | None = None,
    shard: tuple[int, int] = (1, 1),
    limits: Mapping[str, float] = LIMITS,
) -> None:
    """Write energies.parquet beside each molecule file. Equal samples give equal bytes, with any number of shards.

    Args:
        files: molecules with coordinates; bonds are perceived where a stage needs them.
        request: what is computed.
        processes: worker processes.
        checkpoints: folder for finished chunks of this work.
        split: only the molecules of this split, of files that have one.
        shard: (i, n), the i-th of n parts of every file (from 1): the file written is then that of the shard alone.
        limits: seconds per sample, by stage.

    Raises:
        UserError: a file cannot be read, found before any work starts; or the disk is full.
    """
    sets = [_Samples(file, request, split, shard, limits, checkpoints) for file in files]
    _print_estimate(sets, processes)
    with Workers(run_task, processes, max(limits.values())) as workers:
        for stage in STAGES:
            _compute(stage, sets, workers, limits[stage.name])
    for samples in sets:
        samples.write()
        samples.forget()


def _compute(stage: Stage, sets: list["_Samples"], workers: Workers, time_limit: float) -> None:
    for samples in sets:
        samples.plan(stage)
    places = [(samples, row) for samples in sets for row in samples.rows_to_do(stage)]
    if not places:
        return

    def finished(task: int, outcome: Outcome) -> None:
        samples, row = places[task]
        samples.keep(stage, row, outcome)

    workers.map(_Tasks(stage, places), f"energy: {stage.name}", finished, time_limit)


class _Tasks(Sequence):
    """Arguments of one stage, made when they are asked for."""

    def __init__(self, stage: Stage, places: list[tuple["_Samples", int]]) -> None:
        self._stage, self._places = stage, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        samples, row = self._places[index]
        return self._stage.function, self._stage.argument(samples.subject(row))


class _Samples:
    """The samples of one shard of one file: which stages they get, and what has come out so far.

    `rows` are their places in the file (in its chosen split).
    """

    def __init__(
        self,
        file: Path,
        request: Request,
        split: str | None,
        shard: tuple[int, int],
        limits: Mapping[str, float],
        checkpoints: Path,
    ) -> None:
        if not has_coordinates(file):
            raise UserError(f"{file} has no coordinates; energies need them.")
        molecules = read_molecules(file)
        if "sample_index" not in molecules.table:
            molecules = molecules.with_columns(sample_index=range(len(molecules)))
        self.molecules = molecules if split is None else molecules.split(split)
        self.rows = _shard_of(len(self.molecules), shard)
        self._out = beside(file, NAME) if shard[1] == 1 else shard_file(file, *shard)
        self._index = self.molecules.table["sample_index"].tolist()
        self._asked = {stage.name: request.drawn(stage, len(self.molecules)) for stage in STAGES}
        self._seed = request.seed
        self._provenance = {
            "samples_sha256": hash_file(file),
            "split": split,
            "request": asdict(request),
            "time_limits": dict(limits),
            "level_of_theory": "GFN2-xTB (tblite), closed shell; MMFF94s (RDKit's parameters in OpenMM)",
            "versions": versions(["numpy", "openmm", "rdkit", "scipy", "tblite"]),
        }
        self._folder = checkpoints / f"energy-{hash_configuration({**self._provenance, 'shard': shard})}"
        self._obstacles = self._find_obstacles()
        self._outcomes: dict[str, dict[int, tuple[str, dict[str, Any]]]] = {stage.name: {} for stage in STAGES}
        self._missing: Counter[tuple[str, int]] = Counter()
        for stage in STAGES:
            self._restore(stage)

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
            done = [(row, *outcomes[row]) for row in _chunk_rows(self.rows, chunk) if row in outcomes]
            write_text(self._chunk_file(stage, chunk), json.dumps(done))

    def write(self) -> None:
        """Write the table, and say what is in it."""
        columns: dict[str, list[Any]] = {
            "sample_index": [self._index[row] for row in self.rows],
            "atoms": [len(self.molecules[row]) for row in self.rows],
            "heavy_atoms": [int((self.molecules[row].atomic_numbers > 1).sum()) for row in self.rows],
            "charge": [self._charge(row) for row in self.rows],
            "unpaired_electrons": [unpaired_electrons(self.molecules[row], self._charge(row)) for row in self.rows],
        }
        said = []
        for stage in STAGES:
            outcomes = [self._outcome(stage, row) for row in self.rows]
            columns[stage.status] = [status for status, _ in outcomes]
            for column, key in stage.columns.items():
                columns[column] = [values.get(key) for _, values in outcomes]
            counts = Counter(status for status, _ in outcomes if status is not None)
            if counts:
                said.append(f"{stage.name}: {', '.join(f'{n} {status}' for status, n in counts.most_common())}")
        write_energies(self._out, columns, self._provenance)
        print(f"energy: {self._out}: {'; '.join(said) or 'no samples'}", file=sys.stderr, flush=True)

    def forget(self) -> None:
        """Remove the finished chunks, and what a killed run was writing."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _find_obstacles(self) -> dict[int, str]:
        """By row; a sample that had failed before keeps its own reason, whatever geometry it left."""
        before = sample_status(self.molecules)
        return {
            row: obstacle(self.molecules[row], self._charge(row)) if before[row] in USABLE_STATUSES else before[row]
            for row in self.rows
        }

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

    def _chunk_file(self, stage: Stage, chunk: int) -> Path:
        return self._folder / f"{stage.name}-{chunk}.json"

    def _restore(self, stage: Stage) -> None:
        for chunk in sorted({row // CHUNK for row in self.rows}):
            file = self._chunk_file(stage, chunk)
            if file.is_file():
                self._outcomes[stage.name].update({row: (status, values) for row, status, values in read_json(file)})


def _shard_of(n: int, shard: tuple[int, int]) -> range:
    """Rows of a shard: whole chunks."""
    chunks = part_of(range(math.ceil(n / CHUNK)), *shard)
    return range(min(chunks.start * CHUNK, n), min(chunks.stop * CHUNK, n))


def _chunk_rows(rows: range, chunk: int) -> range:
    return range(max(rows.start, chunk * CHUNK), min(rows.stop, (chunk + 1) * CHUNK))


def _plain(value: Any) -> Any:
    """A number as JSON has it, to the last digit; what is no number is missing."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print_estimate(sets: list[_Samples], processes: int) -> None:
    """What there is to do, and for about how long."""
    seconds, parts = 0.0, []
    for stage in STAGES:
        to_do = [samples.rows_to_do(stage) for samples in sets]
        asked = sum(len(samples.asked(stage)) for samples in sets)
        count = sum(map(len, to_do))
        if asked:
            done = f" ({asked - count} of them done before)" if count < asked else ""
            parts.append(f"{asked} {stage.name}{done}")
        seconds += sum(
            stage.estimate(samples.molecules.atom_counts[rows]) for samples, rows in zip(sets, to_do, strict=True)
        )
    duration = f"{seconds / processes:.0f} s" if seconds < 100 * processes else f"{seconds / processes / 60:.0f} min"
    print(
        f"energy: {sum(len(samples.rows) for samples in sets)} samples in {len(sets)} files: "
        f"{', '.join(parts) or 'nothing to compute'}; about {duration} on {processes} free cores",
        file=sys.stderr,
        flush=True,
    )
