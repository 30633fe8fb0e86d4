"""Bonds for many molecules at once, on every core: by their SMILES where one is given, else by perception."""

import math
import os
from collections.abc import Callable
from typing import TypeVar

from latent3d.base.errors import UserError
from latent3d.base.progress import Progress
from latent3d.base.workers import Outcome, Workers
from latent3d.data.molecules.molecules import Molecule, Molecules, from_list
from latent3d.data.molecules.perception import perceive_bonds
from latent3d.data.molecules.smiles_match import match_smiles

CHUNK = 2000
"""Molecules per task of a worker process; fewer than two chunks are done in this process."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def find_bonds(molecule: Molecule, smiles: str | None) -> tuple[Molecule, str]:
    """Bonds that the molecule has, or that its SMILES gives (`match_smiles`), or that are perceived; and a status."""
    if molecule.bonds is not None:
        return molecule, "ok"
    matched = match_smiles(molecule, smiles) if smiles else None
    return (matched, "ok") if matched is not None else perceive_bonds(molecule)


def with_smiles_bonds(molecules: Molecules, processes: int | None = None) -> Molecules:
    """The molecules with the bonds of their `smiles` column; bonds stay unknown where they do not fit the geometry."""
    items = list(zip(molecules, molecules.table["smiles"], strict=True))
    return from_list(map_molecules(_matched_or_same, items, "bonds", processes), molecules.table, molecules.units)


def _matched_or_same(item: tuple[Molecule, str]) -> Molecule:
    molecule, smiles = item
    matched = match_smiles(molecule, smiles) if isinstance(smiles, str) else None
    return molecule if matched is None else matched


def map_molecules(
    function: Callable[[Item], Result], items: list[Item], what: str, processes: int | None = None
) -> list[Result]:
    """`[function(item) for item in items]` on `processes` processes (default: every core), with progress on stderr.

    `function` must be importable (a module's function). The result does not depend on the number of processes.

    Raises:
        UserError: a worker process was killed.
    """
    chunks = [(function, items[start : start + CHUNK]) for start in range(0, len(items), CHUNK)]
    processes = min(processes or len(os.sched_getaffinity(0)), len(chunks))
    progress, done = Progress(what, len(items), "molecules"), 0

    def finished(chunk: int, outcome: Outcome) -> None:
        nonlocal done
        if outcome.status != "ok":
            raise UserError(
                "A worker process was killed, most likely for lack of memory. Free some and run this again."
            )
        done += len(outcome.value)
        progress.show(done)

    if processes > 1:
        with Workers(_each, processes, math.inf) as workers:
            parts = [outcome.value for outcome in workers.map(chunks, finished=finished)]
    else:
        parts = []
        for number, chunk in enumerate(chunks):
            parts.append(_each(chunk))
            finished(number, Outcome("ok", parts[-1]))
    return [result for part in parts for result in part]


def _each(chunk: tuple[Callable[[Item], Result], list[Item]]) -> list[Result]:
    function, items = chunk
    return [function(item) for item in items]
