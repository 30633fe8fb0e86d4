"""Values with their intervals and counts, as families of measures give them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from latent3d.evaluation.intervals import (
    bootstrap_means,
    bootstrap_ratio,
    distinct_interval,
    fold_interval,
    median_interval,
    wilson,
)
from latent3d.evaluation.quantity import Quantity
from latent3d.evaluation.registry import FAMILIES

SCHEMA_VERSION = 2
_SHARES = {quantity.name for family in FAMILIES.values() for quantity in family if quantity.unit == "pct"}
_Set = TypeVar("_Set", bound=Sized | None)


@dataclass
class Measures:
    """Everything that is measured of a set of samples; rates are fractions of 1, missing is None.

    Attributes:
        requested: number of samples asked for.
        seed: of the bootstrap.
        values: by the names of the registry.
        intervals: 95 % confidence intervals, where there is one; a limit of None is infinite.
        counts: numerators, and numbers of samples.
        of: denominators.
        failed: by calculation, the number of failures by reason; empty for one that did not fail.
    """

    requested: int
    seed: int = 0
    values: dict[str, float | None] = field(default_factory=dict)
    intervals: dict[str, list[float | None]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    of: dict[str, int] = field(default_factory=dict)
    failed: dict[str, dict[str, int]] = field(default_factory=dict)
    _stages: list[list[Any]] = field(default_factory=list)

    def rate(self, name: str, passed: int, of: int) -> None:
        """A share of independent samples, with Wilson's interval."""
        self.counts[name], self.of[name] = int(passed), int(of)
        self.values[name] = int(passed) / of if of else None
        if of:
            self.intervals[name] = list(wilson(int(passed), of))

    def pooled(self, name: str, part: np.ndarray, whole: np.ndarray) -> None:
        """sum(part) / sum(whole) over samples [N] that are independent though their atoms are not: bootstrap."""
        total = int(whole.sum())
        self.counts[name], self.of[name] = int(part.sum()), total
        self.values[name] = float(part.sum() / total) if total else None
        if total:
            self.intervals[name] = list(bootstrap_ratio(part, whole, seed=self.seed))

    def mean(self, name: str, values: np.ndarray) -> None:
        """Mean over independent samples [N]: bootstrap."""
        self.of[name] = len(values)
        self.values[name] = float(values.mean()) if len(values) else None
        if len(values):
            self.intervals[name] = bootstrap_means(values[:, None], seed=self.seed)[0].tolist()

    def median(self, name: str, values: np.ndarray) -> None:
        """Median over independent samples [N], of which the failed are infinite; None unless most of them are not."""
        self.of[name] = len(values)
        known = np.isfinite(values).sum() > len(values) / 2
        self.values[name] = float(np.median(values)) if known else None
        interval = median_interval(values) if known else None
        if interval is not None:
            self.intervals[name] = [limit if np.isfinite(limit) else None for limit in interval]

    def distinct(self, name: str, occurrences: Mapping[str, int], of: int) -> None:
        """Distinct members of a set of n samples / n, some of which may be no members."""
        self.counts[name], self.of[name] = len(occurrences), of
        self.values[name] = len(occurrences) / of if of else None
        if of:
            self.intervals[name] = list(distinct_interval(list(occurrences.values()), of))

    def of_set(self, name: str, whole: float | None, folds: Sequence[float | None]) -> None:
        """A value of the set as a whole, with the interval that its disjoint folds give."""
        self.values[name] = whole
        interval = None if whole is None else fold_interval(whole, folds)
        # Equal folds, most often of no event at all, say nothing of the spread either.
        if interval is not None and interval[0] < interval[1]:
            low, high = -np.inf if name.endswith("_mmd") else 0.0, 1.0 if name in _SHARES else np.inf
            self.intervals[name] = [float(np.clip(limit, low, high)) for limit in interval]

    def of_folds(
        self, compare: Callable[[_Set], Mapping[str, float | None]], whole: _Set, folds: Sequence[_Set]
    ) -> None:
        """Values that `compare` gives of a set, by name, with the intervals that its disjoint folds give."""
        # An empty fold says nothing of the spread.
        parts = [compare(fold) for fold in folds] if all(fold is not None and len(fold) for fold in folds) else []
        for name, value in compare(whole).items():
            self.of_set(name, value, [part[name] for part in parts])

    def missing(self, quantities: Sequence[Quantity | str]) -> None:
        """Quantities, or their names, that were not measured."""
        names = [quantity if isinstance(quantity, str) else quantity.name for quantity in quantities]
        self.values.update(dict.fromkeys(names))
        for name in names:
            self.intervals.pop(name, None)

    def stage(self, status: Sequence[str | None] | pd.Series) -> None:
        """What became of each sample [N] at a stage that it has to pass: `ok`, or why not; None where not tried."""
        self._stages.append(list(status))

    @property
    def failures(self) -> dict[str, int]:
        """Number of samples by reason, each sample once: the reason of the first stage that it did not pass."""
        reasons = (
            next((reason for reason in stages if isinstance(reason, str) and reason != "ok"), None)
            for stages in zip(*self._stages, strict=True)
        )
        return dict(sorted(Counter(reason for reason in reasons if reason is not None).items()))

    def summary(self) -> dict[str, Any]:
        """What metrics.json says, without provenance."""
        return {
            "schema_version": SCHEMA_VERSION,
            "n_requested": self.requested,
            "values": self.values,
            "intervals": self.intervals,
            "counts": self.counts,
            "failures": self.failures,
            "energy_failures": self.failed,
        }
