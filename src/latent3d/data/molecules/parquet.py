"""Molecules as Parquet: the file contract between all stages.

One row per molecule: `atomic_numbers` list<uint8>, `positions` list<float32> (flat xyz, angstrom), `bonds` list<int16>
(flat i, j pairs), `bond_orders` list<uint8>, `formal_charges` list<int8>, then any scalar columns. Units of the columns
and the schema version are in the file's metadata.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from latent3d.base.errors import UserError
from latent3d.base.files import atomic_path
from latent3d.data.molecules.molecules import Molecules, concatenate

SCHEMA_VERSION = 1
_METADATA_KEY = b"latent3d"
_LISTS = {
    "atomic_numbers": pa.uint8(),
    "positions": pa.float32(),
    "bonds": pa.int16(),
    "bond_orders": pa.uint8(),
    "formal_charges": pa.int8(),
}


def write_parquet(path: Path | str, molecules: Molecules, extra_metadata: dict | None = None) -> None:
    """Write molecules atomically. Equal molecules give equal bytes."""
    for name in molecules.table.columns:
        if name in _LISTS:
            raise UserError(f"Cannot write {path}: a property is named {name!r} like a column of atoms. Rename it.")
    null = ~molecules.bonds_known
    columns = {
        "atomic_numbers": _list(molecules.atomic_numbers, molecules.atom_offsets),
        "positions": _list(molecules.positions.reshape(-1), molecules.atom_offsets * 3),
        "bonds": _list(molecules.bonds.reshape(-1), molecules.bond_offsets * 2, null),
        "bond_orders": _list(molecules.bond_orders, molecules.bond_offsets, null),
        "formal_charges": _list(molecules.formal_charges, molecules.atom_offsets, null),
    }
    scalars = pa.Table.from_pandas(molecules.table, preserve_index=False)
    for name in scalars.column_names:
        columns[name] = scalars[name]
    metadata = {"schema_version": SCHEMA_VERSION, "units": dict(molecules.units), **(extra_metadata or {})}
    table = pa.table(columns).replace_schema_metadata({_METADATA_KEY: json.dumps(metadata, sort_keys=True).encode()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=65536)


def read_parquet(path: Path | str) -> Molecules:
    """Read all molecules of a Parquet file.

    Raises:
        UserError: the file is missing, truncated, or breaks the contract.
    """
    return concatenate(iterate_parquet(path))


def read_foreign_parquet(path: Path | str) -> Molecules:
    """As `read_parquet`, of a file that others made: a row that makes no sense stays as an empty molecule.

    Its columns `status` and `problem` say why, as in text formats; they are there only if a row was bad.
    """
    problems: dict[int, str] = {}
    molecules = concatenate(iterate_parquet(path, problems=problems))
    if not problems:
        return molecules
    table = molecules.table
    status = table["status"].fillna("ok").tolist() if "status" in table else ["ok"] * len(table)
    problem: list[str | None] = [None] * len(table)
    for row, text in problems.items():
        status[row], problem[row] = "decode_failed", f"molecule {row} {text}"
    return molecules.with_columns(status=status, problem=problem)


def iterate_parquet(
    path: Path | str, batch_size: int = 65536, problems: dict[int, str] | None = None
) -> Iterator[Molecules]:
    """Read molecules in batches (at least one batch, also for an empty file). Raises as `read_parquet`.

    With `problems`, rows that make no sense are read as empty molecules and entered there, with the reason.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist. Check the path, or run the rule that makes it.")
    try:
        file = pq.ParquetFile(path)
        units = read_metadata(path).get("units", {})
        names = file.schema_arrow.names
        missing = [name for name in ("atomic_numbers", "positions") if name not in names]
        if missing:
            raise UserError(f"{path} has no column {missing[0]!r}; a molecule file needs atomic_numbers and positions.")
        read = 0
        for batch in file.iter_batches(batch_size):
            columns = _columns(path, batch)
            found = {read + row: text for row, text in _problems(columns).items()}
            if found and problems is None:
                row, text = next(iter(found.items()))
                raise UserError(f"{path}: molecule {row} {text}. Mend that row, or make the file again.")
            if found:
                problems |= found
                columns = columns.without(np.array(list(found)) - read)
            yield _molecules(columns, batch, units)
            read += batch.num_rows
        if not read:
            batch = pa.RecordBatch.from_pylist([], schema=file.schema_arrow)
            yield _molecules(_columns(path, batch), batch, units)
    except (pa.ArrowException, OSError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is not a readable Parquet file ({reason}). Make or download it again.") from error


def read_metadata(path: Path | str) -> dict:
    """The project's metadata of a Parquet file ({} where there is none)."""
    raw = (pq.read_schema(path).metadata or {}).get(_METADATA_KEY)
    return json.loads(raw) if raw else {}


def _list(values: np.ndarray, offsets: np.ndarray, null: np.ndarray | None = None) -> pa.ListArray:
    # A null entry of a list array still needs its offsets; arrow leaves its (empty or unused) values out of sight.
    mask = None if null is None or not null.any() else pa.array(null)
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values), mask=mask)


def _ragged(path: Path, batch: pa.RecordBatch, name: str) -> "_Ragged":
    """A list column; all null where it is absent."""
    if name not in batch.schema.names:
        size = batch.num_rows
        return _Ragged(np.zeros(0, _LISTS[name].to_pandas_dtype()), np.zeros(size, np.int64), np.ones(size, bool))
    column = batch.column(name)
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        raise UserError(f"{path}: column {name!r} must be a list per molecule, but it is {column.type}.")
    counts = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    values = column.flatten()
    if values.null_count:
        raise UserError(
            f"{path}: column {name!r} has null entries inside its lists; use NaN for an unknown coordinate."
        )
    try:
        values = values.cast(_LISTS[name])
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: column {name!r} holds a value that does not fit {_LISTS[name]} ({error}).") from error
    null = column.is_null().to_numpy(zero_copy_only=False)
    return _Ragged(values.to_numpy(zero_copy_only=False), counts, null)


@dataclass(frozen=True)
class _Ragged:
    """A list column: flat values, counts [M] per row, and which rows are null [M]."""

    values: np.ndarray
    counts: np.ndarray
    null: np.ndarray

    def without(self, rows: np.ndarray) -> "_Ragged":
        """The same with empty lists in some rows."""
        keep = np.ones(len(self.counts), bool)
        keep[rows] = False
        return _Ragged(self.values[np.repeat(keep, self.counts)], self.counts * keep, self.null & keep)


@dataclass(frozen=True)
class _Columns:
    """The list columns of a batch, as they stand in the file."""

    numbers: _Ragged
    positions: _Ragged
    bonds: _Ragged
    orders: _Ragged
    charges: _Ragged

    def without(self, rows: np.ndarray) -> "_Columns":
        """The same with empty molecules in some rows."""
        columns = (self.numbers, self.positions, self.bonds, self.orders, self.charges)
        return _Columns(*(column.without(rows) for column in columns))


def _columns(path: Path, batch: pa.RecordBatch) -> _Columns:
    return _Columns(*(_ragged(path, batch, name) for name in _LISTS))


def _problems(columns: _Columns) -> dict[int, str]:
    """What is wrong with a row, first things first, by row: lists that do not fit together, bonds to no atom."""
    atoms, ends = columns.numbers.counts, columns.bonds.counts
    found: dict[int, str] = {}
    for name, column, expected in (
        ("positions", columns.positions, 3 * atoms),
        ("bonds", columns.bonds, 2 * columns.orders.counts),
        ("formal_charges", columns.charges, np.where(columns.charges.null, 0, atoms)),
    ):
        for row in np.flatnonzero(column.counts != expected).tolist():
            found.setdefault(
                row, f"has {column.counts[row]} entries in column {name!r} where {expected[row]} are needed"
            )
    for row in np.flatnonzero(columns.bonds.null != columns.orders.null).tolist():
        found.setdefault(row, "has one of the columns 'bonds' and 'bond_orders' alone")
    row_of_end = np.repeat(np.arange(len(ends)), ends)
    outside = (columns.bonds.values < 0) | (columns.bonds.values >= atoms[row_of_end])
    for row in np.unique(row_of_end[outside]).tolist():
        found.setdefault(row, "has a bond to an atom it does not have (column 'bonds')")
    return dict(sorted(found.items()))


def _molecules(columns: _Columns, batch: pa.RecordBatch, units: dict[str, str]) -> Molecules:
    atoms = columns.numbers.counts
    # Neutral where only the charges are unknown.
    charges = np.zeros(int(atoms.sum()), np.int8)
    charges[np.repeat(~columns.charges.null, atoms)] = columns.charges.values
    scalars = [name for name in batch.schema.names if name not in _LISTS]
    table = pa.Table.from_batches([batch]).select(scalars).to_pandas() if scalars else _no_columns(batch.num_rows)
    return Molecules(
        columns.numbers.values,
        columns.positions.values.reshape(-1, 3),
        np.concatenate([[0], np.cumsum(atoms)]),
        columns.bonds.values.reshape(-1, 2),
        columns.orders.values,
        np.concatenate([[0], np.cumsum(columns.orders.counts)]),
        charges,
        ~columns.bonds.null,
        table,
        units,
    )


def _no_columns(rows: int) -> pd.DataFrame:
    return pd.DataFrame(index=range(rows))
