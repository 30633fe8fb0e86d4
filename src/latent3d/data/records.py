"""Records: many molecules, pockets or images as flat arrays.

A kind of data is a subclass of `Records` that states a `Schema`; readers, writers and what is below serve every kind.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, DTypeLike

from latent3d.base.errors import UserError


@dataclass(frozen=True)
class Block:
    """Elements of which a record has any number: atoms, bonds, residues.

    Attributes:
        name: of the elements, in the plural.
        optional: a record's elements may be unknown, which is null in a file; no elements is an empty list.
    """

    name: str
    optional: bool = False

    @property
    def one(self) -> str:
        """An element: atom."""
        return self.name.removesuffix("s")


@dataclass(frozen=True)
class Field:
    """One column of lists in the file, one flat array in memory.

    Attributes:
        name: of both.
        dtype: NumPy's, of one number; or "S" and a width: ASCII text of at most so many letters.
        block: the elements that have a value each; None where the record itself has one, or null.
        shape: of a value. None stands for a length that is the same in all records of a file, as an image's height.
        unit: of a number.
        points_to: the block of the same record whose elements the numbers count.
        null_with: an optional block; where it is unknown, so is this field. Where this field alone is, it reads as 0.
    """

    name: str
    dtype: DTypeLike
    block: Block | None = None
    shape: tuple[int | None, ...] = ()
    unit: str | None = None
    points_to: Block | None = None
    null_with: Block | None = None

    @property
    def known_by(self) -> str | None:
        """The entry of `Records.known` that tells where the field is known; None if it is everywhere."""
        if self.block is None:
            return self.name
        block = self.null_with or self.block
        return block.name if block.optional else None

    def fits(self, shape: Sequence[int]) -> bool:
        """A value may have this shape."""
        return len(shape) == len(self.shape) and all(
            wanted in (None, length) for wanted, length in zip(self.shape, shape, strict=True)
        )

    @property
    def is_text(self) -> bool:
        """It holds text, not numbers."""
        return np.dtype(self.dtype).kind == "S"


@dataclass(frozen=True)
class Schema:
    """What a record of one kind consists of.

    Attributes:
        name: of the kind, in the plural.
        fields: in the order of the columns of the file. A block's first field without a shape counts its elements.
    """

    name: str
    fields: tuple[Field, ...]

    @property
    def one(self) -> str:
        """A record: molecule."""
        return self.name.removesuffix("s")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of all fields."""
        return tuple(field.name for field in self.fields)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks that the fields belong to."""
        return tuple(dict.fromkeys(field.block for field in self.fields if field.block is not None))

    @cached_property
    def deciding(self) -> dict[str, Field]:
        """The field that tells what is known, by entry of `Records.known`: a block's first, or one of no block."""
        own = [field for field in self.fields if field.known_by is not None and field.null_with is None]
        return {field.known_by: field for field in reversed(own)}

    def of(self, block: Block) -> list[Field]:
        """The fields of a block."""
        return [field for field in self.fields if field.block == block]

    def counter(self, block: Block) -> Field:
        """The field whose lists have as many entries as a record has elements of the block."""
        return next(field for field in self.of(block) if not field.shape)


@dataclass(frozen=True, eq=False)
class Records:
    """M records of one kind (no Python object per record).

    Attributes:
        schema: what a record consists of; stated by the subclass.
        arrays: by field. [E, *shape] for a field of a block with E elements in all; else [M, *shape], 0 where unknown.
        offsets: by block, [M + 1] int64; record i owns the elements offsets[i]:offsets[i + 1].
        known: [M] bool, by optional block, and by field that belongs to no block.
        table: M rows of scalar columns (`id`, `split`, `status`, properties, ...); missing is null.
        units: unit of each numeric column of `table`, where it has one.
    """

    schema: ClassVar[Schema]
    arrays: Mapping[str, np.ndarray]
    offsets: Mapping[str, np.ndarray]
    known: Mapping[str, np.ndarray]
    table: pd.DataFrame
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> Any:
        """A record: its values by field (views); None where unknown."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.schema.one} {index} of {len(self)}")
        index %= len(self)
        values: dict[str, np.ndarray | None] = {}
        for field in self.schema.fields:
            place: int | slice = index
            if field.block is not None:
                first, end = self.offsets[field.block.name][index : index + 2]
                place = slice(first, end)
            known = field.known_by is None or self.known[field.known_by][index]
            values[field.name] = self.arrays[field.name][place] if known else None
        return values

    def counts(self, block: str) -> np.ndarray:
        """[M] int64, number of elements of a block in each record."""
        return np.diff(self.offsets[block])

    def take(self, indices: np.ndarray | Iterable[int]) -> Self:
        """The records at `indices` (integers or a boolean mask), in that order."""
        rows = np.asarray(indices)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        places: dict[Block | None, np.ndarray] = {None: rows}
        offsets = {}
        for block in self.schema.blocks:
            places[block], offsets[block.name] = gather(self.offsets[block.name], rows)
        return replace(
            self,
            arrays={field.name: self.arrays[field.name][places[field.block]] for field in self.schema.fields},
            offsets=offsets,
            known={name: known[rows] for name, known in self.known.items()},
            table=self.table.iloc[rows].reset_index(drop=True),
        )

    def split(self, name: str) -> Self:
        """The records whose `split` column says `name` (train, valid or test).

        Raises:
            UserError: there is no column `split`.
        """
        if "split" not in self.table:
            raise UserError(
                f"The {self.schema.name} have no column 'split'. Make a dataset of the file with latent3d prepare."
            )
        return self.take((self.table["split"] == name).to_numpy())

    def with_columns(self, **columns: object) -> Self:
        """The same records with columns added to `table` or replaced."""
        return replace(self, table=self.table.assign(**columns))

    def without_table(self) -> Self:
        """The same records with no columns."""
        return replace(self, table=no_columns(len(self)), units={})


Kind = TypeVar("Kind", bound=Records)


def from_list(
    kind: type[Kind],
    records: Iterable[Mapping[str, ArrayLike | None]],
    table: pd.DataFrame | None = None,
    units: Mapping[str, str] | None = None,
) -> Kind:
    """Pack single records, values by field, into flat arrays. `table` has one row per record (default: no columns).

    None is unknown: a field of the record itself, or an optional block, whose first field decides.

    Raises:
        ValueError: values do not fit their field or each other, or no record tells an open shape.
    """
    schema, records = kind.schema, list(records)
    values = {field.name: [record[field.name] for record in records] for field in schema.fields}
    known = {
        name: np.array([value is not None for value in values[field.name]], bool)
        for name, field in schema.deciding.items()
    }

    arrays, offsets = {}, {}
    for block in schema.blocks:
        # Unknown elements are no elements.
        there = known[block.name] if block.optional else np.ones(len(records), bool)
        parts = {field.name: list(compress(values[field.name], there.tolist())) for field in schema.of(block)}
        for field in schema.of(block):
            if field.null_with is None and any(part is None for part in parts[field.name]):
                raise ValueError(f"{field.name!r} is None in a record whose {block.name} are known")
        counts = np.zeros(len(records), np.int64)
        counts[there] = [len(part) for part in parts[schema.counter(block).name]]
        offsets[block.name] = to_offsets(counts)
        for field in schema.of(block):
            arrays[field.name] = _flat(field, parts[field.name], counts[there].tolist())
    for field in schema.fields:
        if field.block is None:
            arrays[field.name] = _one_each(field, values[field.name])
    table = no_columns(len(records)) if table is None else table.reset_index(drop=True)
    return kind(arrays, offsets, known, table, dict(units or {}))


def concatenate(parts: Iterable[Kind]) -> Kind:
    """The records of all parts (at least one) in order; tables are concatenated by column name."""
    parts = list(parts)
    units: dict[str, str] = {}
    for part in parts:
        units.update(part.units)
    first = parts[0]
    return replace(
        first,
        arrays={name: np.concatenate([part.arrays[name] for part in parts]) for name in first.arrays},
        offsets={name: to_offsets(np.concatenate([part.counts(name) for part in parts])) for name in first.offsets},
        known={name: np.concatenate([part.known[name] for part in parts]) for name in first.known},
        table=pd.concat([part.table for part in parts], ignore_index=True),
        units=units,
    )


def no_columns(rows: int) -> pd.DataFrame:
    """A table of so many rows."""
    return pd.DataFrame(index=range(rows))


def to_offsets(counts: np.ndarray | list[int]) -> np.ndarray:
    """[M + 1] int64: where the elements of each record begin, and where the last one's end."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def gather(offsets: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat element indices of the ragged rows `indices`, and the offsets of the result."""
    counts = np.diff(offsets)[indices]
    new = to_offsets(counts)
    return np.repeat(offsets[:-1][indices] - new[:-1], counts) + np.arange(new[-1]), new


def _flat(field: Field, parts: list[ArrayLike | None], counts: list[int]) -> np.ndarray:
    """[E, *shape]: the values of all records, of so many elements each; 0 for those that are None."""
    zeros = np.zeros((max(counts, default=0), *field.shape), field.dtype)
    if field.null_with is not None:
        parts = [zeros[:count] if part is None else part for part, count in zip(parts, counts, strict=True)]
    if field.shape:
        shape = (-1, *field.shape)
        parts = [np.asarray(part).reshape(shape) for part in parts]
    values = _stored(field, [zeros[:0], *parts])
    if len(values) != sum(counts):
        raise ValueError(f"{field.name!r} has {len(values)} values for {sum(counts)} {field.block.name}")
    return values


def _one_each(field: Field, parts: list[ArrayLike | None]) -> np.ndarray:
    """[M, *shape]: one value for each record, 0 where there is none."""
    shape = next((np.shape(part) for part in parts if part is not None), field.shape)
    if None in shape:
        raise ValueError(f"no record has {field.name!r}, which would tell its shape")
    if not field.fits(shape):
        raise ValueError(f"{field.name!r} has the shape {shape}, not {field.shape}")
    none = np.zeros((1, *shape), field.dtype)
    return _stored(field, [none[:0], *(none if part is None else np.asarray(part)[None] for part in parts)])


def _stored(field: Field, parts: list[ArrayLike]) -> np.ndarray:
    values, width = np.concatenate(parts), np.dtype(field.dtype).itemsize
    if field.is_text and values.size and np.strings.str_len(values).max() > width:
        raise ValueError(f"a text of {field.name!r} has more than {width} letters")
    return values.astype(field.dtype, copy=False)
