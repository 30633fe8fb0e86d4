"""Any number of molecules to analyses, on every core. A molecule that hangs or crashes costs itself alone."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from latent3d.base.workers import Outcome, Workers
from latent3d.data.molecules.molecules import EMPTY, Molecules, from_list
from latent3d.evaluation.analysis.profile import SET_SIZE, Analysis, Chunk, Profile, analyse, merge
from latent3d.evaluation.validity.valences import UNKNOWN

FOLDS = 5
"""Disjoint folds, drawn with a seed, from whose spread the intervals of set-level values come."""

CHUNK = 250
_CHUNK_SECONDS, _MOLECULE_SECONDS = 300.0, 60.0


class Compared(NamedTuple):
    """What of a population is compared with other sets: as a whole, and in its folds."""

    whole: Profile
    folds: list[Profile]


@dataclass(frozen=True)
class Population:
    """N molecules as analysed.

    Attributes:
        table: N rows in the order of the molecules (see `profile.Analysis.table`).
        valences: [A] valence code of every atom, in the order of the molecules.
        atom_offsets: [N + 1], molecule i owns valences[atom_offsets[i]:atom_offsets[i + 1]].
        folds: profiles of disjoint random parts of nearly equal size.
        fold: [N], the fold of every molecule.
    """

    table: pd.DataFrame
    valences: np.ndarray
    atom_offsets: np.ndarray
    folds: list[Profile]
    fold: np.ndarray

    @cached_property
    def compared(self) -> Compared:
        """At most SET_SIZE molecules, since values of sets depend on their number."""
        folds = [fold.limited(SET_SIZE // FOLDS) for fold in self.folds]
        return Compared(merge(folds), folds)


def analyse_population(
    molecules: Molecules,
    status: Sequence[str],
    elements: frozenset[int],
    workers: Workers,
    label: str,
    flat: bool = False,
    folds: int = FOLDS,
    seed: int = 0,
) -> Population:
    """Analyse molecules in random order by `workers` that run `run_task`.

    A molecule that takes over a minute, or kills its process, is treated as a failed sample: `timeout`
    or `crashed`.
    """
    order = np.random.default_rng([seed, 1]).permutation(len(molecules))
    plan = _Plan(molecules, status, elements, flat, order, folds)
    outcomes = workers.map(plan, label, time_limit=_CHUNK_SECONDS)
    analyses = [
        outcome.value if outcome.status == "ok" else _one_by_one(plan.chunk(i), workers)
        for i, outcome in enumerate(outcomes)
    ]
    inverse = np.argsort(order)
    table = pd.concat([a.table for a in analyses], ignore_index=True).iloc[inverse].reset_index(drop=True)
    valences, offsets = _reordered([a.valences for a in analyses], [a.table["atoms"] for a in analyses], inverse)
    profiles = [
        merge(analysis.profile for analysis, own in zip(analyses, plan.fold, strict=True) if own == fold)
        for fold in range(folds)
    ]
    return Population(table, valences, offsets, profiles, fold_of(order, folds))


def fold_of(order: np.ndarray, folds: int) -> np.ndarray:
    """[N] the fold of every molecule, where folds are consecutive parts of `order`."""
    fold = np.empty(len(order), np.int64)
    for number, rows in enumerate(np.array_split(order, folds)):
        fold[rows] = number
    return fold


class _Plan(Sequence):
    """Chunks of molecules in a given order, none of which lies in two folds; made when they are asked for."""

    def __init__(
        self,
        molecules: Molecules,
        status: Sequence[str],
        elements: frozenset[int],
        flat: bool,
        order: np.ndarray,
        folds: int,
    ) -> None:
        self._molecules, self._status = molecules, np.array(status, dtype=object)
        self._elements, self._flat = elements, flat
        self.fold: list[int] = []
        self._rows: list[np.ndarray] = []
        for fold, rows in enumerate(np.array_split(order, folds)):
            pieces = np.array_split(rows, max(1, -(-len(rows) // CHUNK)))
            self._rows += pieces
            self.fold += [fold] * len(pieces)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[Callable[[Chunk], Analysis], Chunk]:
        return analyse, self.chunk(index)

    def chunk(self, index: int) -> Chunk:
        rows = self._rows[index]
        molecules = self._molecules.take(rows)
        return Chunk(molecules.without_table(), self._status[rows].tolist(), self._elements, self._flat)


def map_groups(
    function: Callable[[list[Any]], list[Any]],
    items: Sequence[Any],
    size: int,
    seconds: float,
    workers: Workers,
    label: str,
) -> list[Outcome]:
    """The outcome of each item, where `function` maps lists of items to lists of results and `seconds` is for one item.

    Items go in groups; a group that fails goes again one by one, so that the reason is that of the item.
    """
    groups = [list(items[start : start + size]) for start in range(0, len(items), size)]
    results: list[Outcome] = []
    for group, outcome in zip(
        groups, workers.map([(function, group) for group in groups], label, time_limit=seconds * size), strict=True
    ):
        if outcome.status == "ok":
            results += [Outcome("ok", value) for value in outcome.value]
        elif len(group) == 1:
            results.append(outcome)
        else:
            alone = workers.map([(function, [item]) for item in group], time_limit=seconds)
            results += [Outcome(one.status, one.value and one.value[0]) for one in alone]
    return results


def _one_by_one(chunk: Chunk, workers: Workers) -> Analysis:
    print(f"a chunk of {len(chunk.molecules)} molecules did not end: they are looked at one by one", file=sys.stderr)
    singles = [
        Chunk(chunk.molecules.take([i]), [chunk.status[i]], chunk.elements, chunk.flat)
        for i in range(len(chunk.molecules))
    ]
    outcomes = workers.map([(analyse, single) for single in singles], time_limit=_MOLECULE_SECONDS)
    analyses = [
        outcome.value if outcome.status == "ok" else _lost(single, outcome.status)
        for single, outcome in zip(singles, outcomes, strict=True)
    ]
    return Analysis(
        pd.concat([a.table for a in analyses], ignore_index=True),
        np.concatenate([a.valences for a in analyses]),
        merge(a.profile for a in analyses),
    )


def _lost(single: Chunk, status: str) -> Analysis:
    """The analysis of a molecule that cannot be analysed: its atoms count, as unstable ones."""
    empty = analyse(Chunk(from_list([EMPTY]), [status], single.elements, single.flat))
    atoms = int(single.molecules.atom_counts[0])
    return Analysis(empty.table.assign(atoms=atoms), np.full(atoms, UNKNOWN, np.int64), empty.profile)


def _reordered(
    values: Sequence[np.ndarray], counts: Sequence[pd.Series], inverse: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ragged values, given molecule by molecule in some order, in the order of the molecules; and their offsets."""
    counts = np.concatenate([np.zeros(0, np.int64), *counts])
    starts = np.cumsum(counts) - counts
    counts, starts = counts[inverse], starts[inverse]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    indices = np.repeat(starts - offsets[:-1], counts) + np.arange(offsets[-1])
    return np.concatenate([np.zeros(0, np.int64), *values])[indices], offsets
