"""Energies of molecules: energies.parquet beside their file, one row per requested sample."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latent3d.base.errors import UserError
from latent3d.base.files import beside, hash_file, part_of
from latent3d.base.layout import ENERGIES
from latent3d.calculations.energies_file import write_energies
from latent3d.calculations.engine import LIMITS, STAGES, MoleculeSet, Request, compute, print_estimate
from latent3d.data.molecules.read import has_coordinates, read_molecules


def compute_files(
    files: Sequence[Path],
    request: Request,
    processes: int,
    checkpoints: Path,
    split: str | None = None,
    shard: tuple[int, int] | None = None,
    limits: Mapping[str, float] = LIMITS,
) -> None:
    """Write energies.parquet beside each molecule file. Equal samples give equal bytes, with any number of shards.

    Every sampling seed (column `seed`) is a set of its own: draws are made in each, and finished work of a seed is
    found again when others are added to its file.

    Args:
        files: molecules with coordinates; bonds are perceived where a stage needs them.
        request: what is computed.
        processes: worker processes.
        checkpoints: folder for finished chunks, which stay there.
        split: only the molecules of this split, of files that have one.
        shard: (i, n): compute the i-th of n parts of every file (from 1) and write nothing; the call without a shard
            finds it done.
        limits: seconds per sample, by stage.

    Raises:
        UserError: a file cannot be read, found before any work starts; or the disk is full.
    """
    opened = [_open(file, request, split, shard, limits, checkpoints) for file in files]
    sets = [molecules for one in opened for molecules in one.sets]
    print_estimate(sets, len(files), processes)
    compute(sets, processes, limits)
    if shard is None:
        for one in opened:
            one.write()


@dataclass(frozen=True)
class _File:
    """A molecule file, the sets in it, and what its energies depend on."""

    file: Path
    sets: list[MoleculeSet]
    provenance: dict[str, Any]

    def write(self) -> None:
        """Write the table, and say what is in it."""
        parts = [molecules.columns() for molecules in self.sets]
        columns = {name: [value for part in parts for value in part[name]] for name in parts[0]}
        out = beside(self.file, ENERGIES)
        write_energies(out, columns, self.provenance)
        counts = {stage.name: Counter(s for s in columns[stage.status] if s is not None) for stage in STAGES}
        said = [
            f"{name}: {', '.join(f'{n} {status}' for status, n in count.most_common())}"
            for name, count in counts.items()
            if count
        ]
        print(f"energy: {out}: {'; '.join(said) or 'no samples'}", file=sys.stderr, flush=True)


def _open(
    file: Path,
    request: Request,
    split: str | None,
    shard: tuple[int, int] | None,
    limits: Mapping[str, float],
    checkpoints: Path,
) -> _File:
    if not has_coordinates(file):
        raise UserError(f"{file} has no coordinates; energies need them.")
    molecules = read_molecules(file)
    if "sample_index" not in molecules.table:
        molecules = molecules.with_columns(sample_index=range(len(molecules)))
    molecules = molecules if split is None else molecules.split(split)
    groups = [molecules]
    if "seed" in molecules.table and len(molecules):
        seeds = molecules.table["seed"]
        groups = [molecules.take((seeds == seed).to_numpy()) for seed in seeds.unique()]
    sets = [MoleculeSet(group, request, limits, checkpoints) for group in groups]
    if shard is not None:
        places = [(number, chunk) for number, one in enumerate(sets) for chunk in one.chunks]
        mine = [places[place] for place in part_of(range(len(places)), *shard)]
        for number, one in enumerate(sets):
            one.limit_to(chunk for owner, chunk in mine if owner == number)
    return _File(file, sets, {"samples_sha256": hash_file(file), "split": split, **request.provenance(limits)})
