"""The measures of a row's sets of samples (one per training seed, sampling seed and stratum), as tables print them."""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from latent3d.evaluation.measures_file import FAILED, SET
from latent3d.evaluation.quantity import Quantity
from latent3d.evaluation.registry import FAMILIES

_KNOWN = {quantity.name for family in FAMILIES.values() for quantity in family}


class Sets:
    """Lines of measures.parquet, by set.

    Attributes:
        values: one line per set, in their order, one column per quantity that was asked for; NaN where missing.
        counts: likewise of all quantities, failures (`failed:...`) included.
        measured: names of the quantities that some set has a value or a denominator of.
    """

    def __init__(self, lines: pd.DataFrame) -> None:
        number = lines.groupby(list(SET), sort=False, dropna=False).ngroup()
        failures = lines["quantity"].str.startswith(FAILED)
        # A quantity that is no value but a number of samples has nothing to divide it by.
        number_alone = lines["value"].isna() & lines["count"].notna() & lines["of"].isna()
        self.values = _by_set(lines[~failures & ~number_alone], number, "value")
        self.counts = _by_set(lines, number, "count")
        self.measured = set(lines.loc[lines["value"].notna() | lines["of"].notna(), "quantity"])

    def columns(self, quantities: Iterable[Quantity]) -> dict[str, float]:
        """Columns of a table: mean and standard deviation over the sets."""
        columns: dict[str, float] = {}
        for quantity in quantities:
            columns |= mean_and_std(quantity, self.values.get(quantity.name, [None]))
        return columns

    def unknown(self) -> list[Quantity]:
        """Quantities that the registry does not know: a new measure needs no change here."""
        return [Quantity(name) for name in sorted(set(self.values) - _KNOWN)]

    def count(self, name: str) -> list[int]:
        """A number of samples of each set; 0 where there is none."""
        if name not in self.counts:
            return [0] * len(self.counts)
        return self.counts[name].fillna(0).astype(int).tolist()

    def failures(self, calculation: str | None = None) -> dict[str, int]:
        """Failures by reason, of all sets together: of samples, or of one calculation."""
        start = FAILED if calculation is None else f"{FAILED}{calculation}:"
        reasons = {name.removeprefix(start): name for name in self.counts if name.startswith(start)}
        return {reason: int(self.counts[name].sum()) for reason, name in reasons.items() if ":" not in reason}


def mean_and_std(quantity: Quantity, values: Iterable[float | None]) -> dict[str, float]:
    """Mean over the sets and sample standard deviation (NaN for one set) as `_std`; NaN unless all have the value."""
    found = np.array([np.nan if value is None else value for value in values], float) * quantity.scale
    complete = len(found) > 0 and bool(np.isfinite(found).all())
    columns = {quantity.column: float(found.mean()) if complete else np.nan}
    if quantity.spread:
        columns[f"{quantity.column}_std"] = float(found.std(ddof=1)) if complete and len(found) > 1 else np.nan
    return columns


def join_failures(failures: Mapping[str, int]) -> str:
    """`reason count`, most frequent first."""
    found = Counter({reason: count for reason, count in failures.items() if count})
    return "; ".join(f"{reason} {number}" for reason, number in sorted(found.items(), key=lambda x: (-x[1], x[0])))


def one_or_all(values: Iterable[object]) -> str:
    """The different values, in their order."""
    return " ".join(str(value) for value in dict.fromkeys(values))


def _by_set(lines: pd.DataFrame, number: pd.Series, column: str) -> pd.DataFrame:
    return lines.assign(set=number[lines.index]).pivot(index="set", columns="quantity", values=column)
