"""Records as Parquet: the file contract between all stages.

One row per record. Each field of the kind's schema is a column of flat lists (`positions`: x, y, z of the first atom,
of the second, ...), null where the field is unknown; then come scalar columns. Units of these, the schema version and
provenance are in the file's metadata under `latent3d`, and so are kind, shapes and units of the fields.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from latent3d.base.errors import UserError
from latent3d.base.files import atomic_path
from latent3d.data.records import Block, Field, Kind, Records, Schema, concatenate, no_columns, to_offsets

SCHEMA_VERSION = 1
_METADATA_KEY = b"latent3d"
_UNNAMED_KIND = "molecules"
"""Files of it are older than other kinds: they name no kind, and their bytes stay what they were."""


def write_parquet(path: Path | str, records: Records, extra_metadata: dict | None = None) -> None:
    """Write records atomically. Equal records give equal bytes."""
    schema = records.schema
    for name in records.table.columns:
        if name in schema.names:
            part = next(iter(schema.blocks), schema).name
            raise UserError(f"Cannot write {path}: a property is named {name!r} like a column of {part}. Rename it.")
    columns = {field.name: _to_lists(field, records) for field in schema.fields}
    scalars = pa.Table.from_pandas(records.table, preserve_index=False)
    for name in scalars.column_names:
        columns[name] = scalars[name]
    metadata = {"schema_version": SCHEMA_VERSION, "units": dict(records.units), **(extra_metadata or {})}
    if schema.name != _UNNAMED_KIND:
        metadata |= {
            "kind": schema.name,
            "fields": {field.name: _description(field, records) for field in schema.fields},
        }
    table = pa.table(columns).replace_schema_metadata({_METADATA_KEY: json.dumps(metadata, sort_keys=True).encode()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=65536)


def read_parquet(path: Path | str, kind: type[Kind]) -> Kind:
    """Read all records of a Parquet file.

    Raises:
        UserError: the file is missing, truncated, of another kind, or breaks the contract.
    """
    return concatenate(iterate_parquet(path, kind))


def read_foreign_parquet(path: Path | str, kind: type[Kind]) -> Kind:
    """As `read_parquet`, of a file that others made: a row that makes no sense stays as an empty record.

    Its columns `status` and `problem` say why, as in text formats; they are there only if a row was bad.
    """
    problems: dict[int, str] = {}
    records = concatenate(iterate_parquet(path, kind, problems=problems))
    if not problems:
        return records
    table = records.table
    status = table["status"].fillna("ok").tolist() if "status" in table else ["ok"] * len(table)
    problem: list[str | None] = [None] * len(table)
    for row, text in problems.items():
        status[row], problem[row] = "decode_failed", f"{kind.schema.one} {row} {text}"
    return records.with_columns(status=status, problem=problem)


def iterate_parquet(
    path: Path | str, kind: type[Kind], batch_size: int = 65536, problems: dict[int, str] | None = None
) -> Iterator[Kind]:
    """Read records in batches (at least one batch, also for an empty file). Raises as `read_parquet`.

    With `problems`, rows that make no sense are read as empty records and entered there, with the reason.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist. Check the path, or run the rule that makes it.")
    try:
        file = pq.ParquetFile(path)
        metadata = read_metadata(path)
        fields = _fields_of_file(path, kind.schema, file.schema_arrow.names, metadata)
        units = metadata.get("units", {})
        read = 0
        for batch in file.iter_batches(batch_size):
            columns = _columns(path, kind.schema, fields, batch)
            found = {read + row: text for row, text in _problems(kind.schema, columns).items()}
            if found and problems is None:
                row, text = next(iter(found.items()))
                raise UserError(f"{path}: {kind.schema.one} {row} {text}. Mend that row, or make the file again.")
            if found:
                problems |= found
                bad = np.array(list(found)) - read
                columns = {name: column.without(bad) for name, column in columns.items()}
            yield _records(kind, columns, batch, units)
            read += batch.num_rows
        if not read:
            batch = pa.RecordBatch.from_pylist([], schema=file.schema_arrow)
            yield _records(kind, _columns(path, kind.schema, fields, batch), batch, units)
    except (pa.ArrowException, OSError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is not a readable Parquet file ({reason}). Make or download it again.") from error


def read_metadata(path: Path | str) -> dict[str, Any]:
    """The project's metadata of a Parquet file ({} where there is none)."""
    raw = (pq.read_schema(path).metadata or {}).get(_METADATA_KEY)
    return json.loads(raw) if raw else {}


@dataclass(frozen=True)
class _Column:
    """A list column of a batch, as it stands in the file: flat values, counts [M] per row, which rows are null [M]."""

    field: Field
    values: np.ndarray
    counts: np.ndarray
    null: np.ndarray

    @property
    def shaped(self) -> np.ndarray:
        """The values, each in its shape."""
        return self.values.reshape(-1, *self.field.shape)

    def without(self, rows: np.ndarray) -> "_Column":
        """The same with nothing in some rows: empty lists, and null where the record has one value."""
        keep = np.ones(len(self.counts), bool)
        keep[rows] = False
        null = self.null & keep if self.field.block else self.null | ~keep
        return replace(self, values=self.values[np.repeat(keep, self.counts)], counts=self.counts * keep, null=null)


def _description(field: Field, records: Records) -> dict[str, Any]:
    """What a reader has to know of a column of flat lists."""
    shape = list(records.arrays[field.name].shape[1:])
    return {"shape": shape} if field.unit is None else {"shape": shape, "unit": field.unit}


def _to_lists(field: Field, records: Records) -> pa.Array:
    values = records.arrays[field.name]
    size = int(np.prod(values.shape[1:], dtype=int))
    null = None if field.known_by is None else ~records.known[field.known_by]
    # A null entry of a list array still needs its offsets; arrow leaves its (empty or unused) values out of sight.
    mask = None if null is None or not null.any() else pa.array(null)
    flat = pa.array(values.reshape(-1))
    if field.is_text:
        flat = flat.cast(pa.string())
    if field.block is None:
        return pa.FixedSizeListArray.from_arrays(flat, size, mask=mask)
    offsets = records.offsets[field.block.name] * size
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), flat, mask=mask)


def _fields_of_file(path: Path, schema: Schema, names: list[str], metadata: dict[str, Any]) -> list[Field]:
    """The fields with the shapes that the file says; UserError if it is of another kind or lacks a column."""
    held = metadata.get("kind", schema.name)
    if held != schema.name:
        raise UserError(f"{path} is a file of {held}; give one of {schema.name}.")
    needed = [f.name for f in schema.fields if f.block is None or not (f.null_with or f.block).optional]
    missing = [name for name in needed if name not in names]
    if missing:
        listed = " and ".join([", ".join(needed[:-1]), needed[-1]] if len(needed) > 1 else needed)
        raise UserError(f"{path} has no column {missing[0]!r}; {_a(schema)} file needs {listed}.")
    return [_with_shape(path, field, metadata) if None in field.shape else field for field in schema.fields]


def _with_shape(path: Path, field: Field, metadata: dict[str, Any]) -> Field:
    shape = metadata.get("fields", {}).get(field.name, {}).get("shape", ())
    if not field.fits(shape):
        raise UserError(f"{path} does not say the shape of {field.name!r} in its metadata. Make it with latent3d.")
    return replace(field, shape=tuple(shape))


def _a(part: Block | Schema) -> str:
    return f"{'an' if part.one[0] in 'aeiou' else 'a'} {part.one}"


def _columns(path: Path, schema: Schema, fields: list[Field], batch: pa.RecordBatch) -> dict[str, _Column]:
    return {field.name: _column(path, schema, field, batch) for field in fields}


def _column(path: Path, schema: Schema, field: Field, batch: pa.RecordBatch) -> _Column:
    """A list column; all null where it is absent."""
    name = field.name
    if name not in batch.schema.names:
        size = batch.num_rows
        return _Column(field, np.zeros(0, field.dtype), np.zeros(size, np.int64), np.ones(size, bool))
    column = batch.column(name)
    of_lists = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    if not (of_lists or pa.types.is_fixed_size_list(column.type)):
        raise UserError(f"{path}: column {name!r} must be a list per {schema.one}, but it is {column.type}.")
    counts = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    values = column.flatten()
    if values.null_count:
        raise UserError(
            f"{path}: column {name!r} has null entries inside its lists; use NaN for an unknown coordinate."
        )
    null = column.is_null().to_numpy(zero_copy_only=False)
    return _Column(field, _text(path, field, values) if field.is_text else _numbers(path, field, values), counts, null)


def _numbers(path: Path, field: Field, values: pa.Array) -> np.ndarray:
    dtype = pa.from_numpy_dtype(np.dtype(field.dtype))
    try:
        values = values.cast(dtype)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: column {field.name!r} holds a value that does not fit {dtype} ({error}).") from error
    return values.to_numpy(zero_copy_only=False)


def _text(path: Path, field: Field, values: pa.Array) -> np.ndarray:
    width = np.dtype(field.dtype).itemsize
    try:
        values = values.cast(pa.string())
        fits = pc.all(pc.and_(pc.string_is_ascii(values), pc.less_equal(pc.binary_length(values), width))).as_py()
    except pa.ArrowInvalid:
        fits = False
    if fits is False:
        raise UserError(f"{path}: column {field.name!r} must hold ASCII text of at most {width} letters.")
    if not len(values):
        return np.zeros(0, field.dtype)
    # Texts of equal length lie in memory as NumPy has them.
    return np.frombuffer(pc.ascii_rpad(values, width, "\0").buffers()[2], field.dtype, len(values))


def _problems(schema: Schema, columns: dict[str, _Column]) -> dict[int, str]:
    """What is wrong with a row, first things first, by row: lists that do not fit together, what points to nothing."""
    found: dict[int, str] = {}
    elements = {block: columns[schema.counter(block).name].counts for block in schema.blocks}
    for name, column in columns.items():
        field, size = column.field, int(np.prod(column.field.shape, dtype=int))
        expected = size * (np.ones_like(column.counts) if field.block is None else elements[field.block])
        if field.block is None or field.null_with:
            expected = np.where(column.null, 0, expected)
        for row in np.flatnonzero(column.counts != expected).tolist():
            found.setdefault(
                row, f"has {column.counts[row]} entries in column {name!r} where {expected[row]} are needed"
            )
    for block in schema.blocks:
        if block.optional:
            own = [columns[field.name] for field in schema.of(block) if not field.null_with]
            some = np.any([column.null for column in own], 0) & ~np.all([column.null for column in own], 0)
            names = " and ".join(repr(column.field.name) for column in own)
            for row in np.flatnonzero(some).tolist():
                found.setdefault(row, f"has one of the columns {names} alone")
    for name, column in columns.items():
        target = column.field.points_to
        if target is not None:
            row_of_value = np.repeat(np.arange(len(column.counts)), column.counts)
            outside = (column.values < 0) | (column.values >= elements[target][row_of_value])
            for row in np.unique(row_of_value[outside]).tolist():
                text = f"has {_a(column.field.block)} to {_a(target)} it does not have (column {name!r})"
                found.setdefault(row, text)
    return dict(sorted(found.items()))


def _records(kind: type[Kind], columns: dict[str, _Column], batch: pa.RecordBatch, units: dict[str, str]) -> Kind:
    schema = kind.schema
    offsets = {block.name: to_offsets(columns[schema.counter(block).name].counts) for block in schema.blocks}
    known = {name: ~columns[field.name].null for name, field in schema.deciding.items()}
    arrays = {}
    for name, column in columns.items():
        field, there = column.field, ~column.null
        arrays[name] = column.shaped
        if (field.block is None or field.null_with) and not there.all():
            if field.block is not None:
                there = np.repeat(there, np.diff(offsets[field.block.name]))
            arrays[name] = np.zeros((len(there), *field.shape), field.dtype)
            arrays[name][there] = column.shaped
    scalars = [name for name in batch.schema.names if name not in schema.names]
    table = pa.Table.from_batches([batch]).select(scalars).to_pandas() if scalars else no_columns(batch.num_rows)
    return kind(arrays, offsets, known, table, units)
