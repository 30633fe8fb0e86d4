"""measures.parquet: what is measured of sets of samples, one line per set and quantity; rates are fractions of 1.

A failure is a quantity, too: `failed:radical` counts the samples whose first failure that was, and
`failed:relaxation:timeout` those that one calculation lost.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from latent3d.base.errors import UserError
from latent3d.base.files import atomic_path
from latent3d.evaluation.measures import Measures

FAILED = "failed:"
_TEXT, _COUNT, _NUMBER = pa.string(), pa.int64(), pa.float64()
_SCHEMA = pa.schema(
    {
        "benchmark": _TEXT,
        "row": _TEXT,
        "train_seed": _COUNT,
        "seed": _COUNT,
        "variant": _TEXT,
        "stratum": _TEXT,
        "quantity": _TEXT,
        "value": _NUMBER,
        "low": _NUMBER,
        "high": _NUMBER,
        "count": _COUNT,
        "of": _COUNT,
    }
)
SET = ("benchmark", "row", "train_seed", "seed", "variant", "stratum")
"""What tells sets of samples apart."""


def lines_of(measures: Measures, of_set: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One line per quantity of a set of samples; `of_set` says which set it is (keys of SET)."""
    lines = []
    for name in sorted(measures.values.keys() | measures.counts.keys()):
        interval = measures.intervals.get(name)
        # A limit of None is infinite.
        low, high = (None, None) if interval is None else (float("inf") if x is None else x for x in interval)
        value, count, of = (known.get(name) for known in (measures.values, measures.counts, measures.of))
        lines.append({"quantity": name, "value": value, "low": low, "high": high, "count": count, "of": of})
    for kind, of, failures in _failures(measures):
        for reason, count in failures.items():
            rate = count / of if of else None
            lines.append({"quantity": f"{FAILED}{kind}{reason}", "value": rate, "count": count, "of": of})
    return [{**of_set, **line} for line in lines]


def _failures(measures: Measures) -> Iterable[tuple[str, int, dict[str, int]]]:
    yield "", measures.requested, measures.failures
    for calculation, failures in measures.failed.items():
        yield f"{calculation}:", measures.counts.get(f"{calculation}_asked", measures.requested), failures


def write_measures(path: Path, lines: Iterable[Mapping[str, Any]], provenance: Mapping[str, Any]) -> None:
    """Write measures.parquet atomically. Equal lines give equal bytes."""
    lines = list(lines)
    table = pa.table({name: pa.array([line.get(name) for line in lines], kind) for name, kind in _types()})
    table = table.replace_schema_metadata({b"latent3d": json.dumps(provenance, sort_keys=True).encode()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_measures(path: Path | str) -> pd.DataFrame:
    """The lines of measures.parquet.

    Raises:
        UserError: the file is missing or unreadable.
    """
    try:
        return pq.read_table(path, partitioning=None).to_pandas()
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist. Run the rule `score` that makes it.") from error
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is not a readable Parquet file ({reason}). Delete it and make it again.") from error


def _types() -> Iterable[tuple[str, pa.DataType]]:
    return zip(_SCHEMA.names, _SCHEMA.types, strict=True)
