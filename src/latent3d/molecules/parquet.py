"""Molecules as Parquet: the file contract between all stages.

One row per molecule: `atomic_numbers` list<uint8>, `positions` list<float32> (flat xyz, angstrom), `bonds` list<int16>
(flat i, j pairs), `bond_orders` list<uint8>, `formal_charges` list<int8>, then any scalar columns. Units of the columns
and the schema version are in the file's metadata.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from latent3d.errors import UserError
from latent3d.files import atomic_path
from latent3d.molecules.molecules import Molecules, concatenate

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


def iterate_parquet(path: Path | str, batch_size: int = 65536) -> Iterator[Molecules]:
    """Read molecules in batches (at least one batch, also for an empty file). Raises as `read_parquet`."""
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
        empty = True
        for batch in file.iter_batches(batch_size):
            empty = False
            yield _molecules(path, batch, units)
        if empty:
            yield _molecules(path, pa.RecordBatch.from_pylist([], schema=file.schema_arrow), units)
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


def _ragged(path: Path, batch: pa.RecordBatch, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flat values, counts per row, and null mask of a list column (all null where the column is absent)."""
    if name not in batch.schema.names:
        size = batch.num_rows
        return np.zeros(0, _LISTS[name].to_pandas_dtype()), np.zeros(size, np.int64), np.ones(size, bool)
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
    return values.to_numpy(zero_copy_only=False), counts, column.is_null().to_numpy(zero_copy_only=False)


def _molecules(path: Path, batch: pa.RecordBatch, units: dict[str, str]) -> Molecules:
    numbers, atoms, _ = _ragged(path, batch, "atomic_numbers")
    positions, coordinates, _ = _ragged(path, batch, "positions")
    _check_counts(path, "positions", coordinates, 3 * atoms)
    bonds, ends, unknown = _ragged(path, batch, "bonds")
    orders, bond_counts, unknown_orders = _ragged(path, batch, "bond_orders")
    charges, charge_counts, unknown_charges = _ragged(path, batch, "formal_charges")
    _check_counts(path, "bonds", ends, 2 * bond_counts)
    _check_counts(path, "bond_orders", unknown_orders.astype(int), unknown.astype(int))
    if unknown_charges.any():
        # Neutral where only the charges are unknown.
        filled = np.zeros(int(atoms.sum()), np.int8)
        filled[np.repeat(~unknown_charges, atoms)] = charges
        charges, charge_counts = filled, np.where(unknown_charges, atoms, charge_counts)
    _check_counts(path, "formal_charges", charge_counts, atoms)
    bond_offsets = np.concatenate([[0], np.cumsum(bond_counts)])
    pairs = bonds.reshape(-1, 2)
    limit = np.repeat(atoms, bond_counts)
    if len(pairs) and ((pairs < 0) | (pairs >= limit[:, None])).any():
        row = (
            int(
                np.searchsorted(
                    bond_offsets, np.flatnonzero((pairs >= limit[:, None]).any(1) | (pairs < 0).any(1))[0], side="right"
                )
            )
            - 1
        )
        raise UserError(f"{path}: molecule {row} has a bond to an atom it does not have. Mend column 'bonds'.")
    scalars = [name for name in batch.schema.names if name not in _LISTS]
    table = pa.Table.from_batches([batch]).select(scalars).to_pandas() if scalars else _no_columns(batch.num_rows)
    return Molecules(
        numbers,
        positions.reshape(-1, 3),
        np.concatenate([[0], np.cumsum(atoms)]),
        pairs,
        orders,
        bond_offsets,
        charges,
        ~unknown,
        table,
        units,
    )


def _no_columns(rows: int) -> pd.DataFrame:
    return pd.DataFrame(index=range(rows))


def _check_counts(path: Path, name: str, counts: Sequence[int], expected: Sequence[int]) -> None:
    wrong = np.flatnonzero(np.asarray(counts) != np.asarray(expected))
    if len(wrong):
        row = int(wrong[0])
        raise UserError(
            f"{path}: molecule {row} has {counts[row]} entries in column {name!r} where {expected[row]} are needed."
        )
