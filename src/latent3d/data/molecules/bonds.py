"""Bonds for many molecules at once, on every core: by their SMILES where one is given, else by perception."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from latent3d.base.errors import UserError
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
    """
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    processes = min(processes or len(os.sched_getaffinity(0)), len(chunks))
    results: list[Result] = []
    started = reported = time.monotonic()
    for part in _run(function, chunks, processes):
        results.extend(part)
        now = time.monotonic()
        if now - reported > 5:
            reported = now
            rate = len(results) / (now - started)
            print(
                f"{what}: {len(results)} of {len(items)} molecules, {rate:.0f}/s, "
                f"{(len(items) - len(results)) / rate:.0f} s left",
                file=sys.stderr,
            )
    return results


def _run(function: Callable[[Item], Result], chunks: list[list[Item]], processes: int) -> Iterator[list[Result]]:
    if processes <= 1:
        yield from (_each(function, chunk) for chunk in chunks)
        return
    # Spawned, not forked: pyarrow and torch may already run threads in this process.
    with ProcessPoolExecutor(processes, get_context("spawn"), _leave_interrupts_to_parent) as pool:
        try:
            yield from pool.map(_each, [function] * len(chunks), chunks)
        except BrokenProcessPool as error:
            raise UserError(
                "A worker process was killed, most likely for lack of memory. Free some and run this again."
            ) from error


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _each(function: Callable[[Item], Result], chunk: list[Item]) -> list[Result]:
    return [function(item) for item in chunk]
