"""Reader, writer and operations on random records of every kind. Another kind is tried by naming it in KINDS."""

import string
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from latent3d.base.errors import UserError
from latent3d.data.images.images import Images
from latent3d.data.molecules.molecules import Molecules
from latent3d.data.molecules.molecules import from_list as molecules_from_list
from latent3d.data.parquet import iterate_parquet, read_foreign_parquet, read_parquet, write_parquet
from latent3d.data.pockets.pockets import Pockets
from latent3d.data.records import Block, Field, Records, Schema, concatenate, from_list

BEADS, LINKS = Block("beads"), Block("links", optional=True)


class Chains(Records):
    """All that a schema can say, in one kind."""

    schema = Schema(
        "chains",
        (
            Field("frames", np.float64, BEADS, (2, 3), "nanometre"),
            Field("labels", "S3", BEADS),
            Field("links", np.int32, LINKS, (2,), points_to=BEADS),
            Field("strengths", np.float32, LINKS),
            Field("loads", np.int16, BEADS, null_with=LINKS),
            Field("name", "S6"),
            Field("map", np.uint16, shape=(None, 2)),
        ),
    )


KINDS = [Molecules, Pockets, Images, Chains]
OPEN = 3  # every open length of a shape
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.schema.name)
each_seed = pytest.mark.parametrize("seed", range(5))


def random_values(rng, field, shape, elements):
    """An array of the field's type: any bit pattern of a number, NaN among them; any text."""
    if field.points_to is not None:
        return rng.integers(0, elements[field.points_to], shape).astype(field.dtype)
    dtype = np.dtype(field.dtype)
    if field.is_text:
        letters = list(string.printable[:94])
        lengths = rng.integers(0, dtype.itemsize + 1, np.prod(shape, dtype=int))
        words = ["".join(rng.choice(letters, length)) for length in lengths]
        return np.array(words, dtype).reshape(shape)
    return np.frombuffer(rng.bytes(int(np.prod(shape)) * dtype.itemsize), dtype).reshape(shape)


def random_record(rng, schema):
    """Values by field; an optional block and what belongs to no block are unknown now and then."""
    counts = {block: int(rng.integers(0, 6)) for block in schema.blocks}
    for field in schema.fields:
        if field.points_to is not None and not counts[field.points_to]:
            counts[field.block] = 0
    flags = dict.fromkeys(field.known_by for field in schema.fields if field.known_by is not None)
    unknown = {flag for flag in flags if rng.random() < 0.3}
    record = {}
    for field in schema.fields:
        shape = tuple(OPEN if length is None else length for length in field.shape)
        if field.block is not None:
            shape = (counts[field.block], *shape)
        record[field.name] = None if field.known_by in unknown else random_values(rng, field, shape, counts)
    return record


def random_records(kind, seed, count=25):
    """Single records, and a table for them with missing values of every type."""
    rng = np.random.default_rng(seed)
    singles = [random_record(rng, kind.schema) for _ in range(count)]
    missing = rng.random((3, count)) < 0.3
    table = pd.DataFrame(
        {
            "id": [None if gone else f"record {i}" for i, gone in enumerate(missing[0])],
            "split": rng.choice(["train", "valid", "test"], count),
            "value": np.where(missing[1], np.nan, rng.normal(size=count)),
            "number": pd.array(rng.integers(-9, 9, count), dtype="Int64"),
        }
    )
    table.loc[missing[2], "number"] = pd.NA
    return singles, table


def values(records, row):
    """The values of a record by field, whatever class it has."""
    record = records[row]
    return record if isinstance(record, dict) else vars(record)


def assert_holds(records, singles, table):
    """Each record has the bits of its own values, and None where they are unknown."""
    assert len(records) == len(singles)
    for row, expected in enumerate(singles):
        found = values(records, row)
        assert set(found) == set(expected)
        for field in records.schema.fields:
            a, b = expected[field.name], found[field.name]
            assert (a is None) == (b is None), (row, field.name)
            if a is not None:
                b = b if b.shape else np.asarray(b, field.dtype)  # a text alone is as wide as it is long
                assert b.shape == a.shape and b.dtype == a.dtype and b.tobytes() == a.tobytes(), (row, field.name)
    pd.testing.assert_frame_equal(records.table, table.reset_index(drop=True), check_dtype=False)


def written(path, records):
    write_parquet(path, records, {"note": "same"})
    return path.read_bytes()


@each_kind
@each_seed
def test_what_is_packed_and_written_comes_back(kind, seed, tmp_path):
    singles, table = random_records(kind, seed)
    records = from_list(kind, singles, table, {"value": "eV"})
    assert_holds(records, singles, table)
    bytes_of_file = written(tmp_path / "a.parquet", records)
    again = read_parquet(tmp_path / "a.parquet", kind)
    assert type(again) is kind and again.units == {"value": "eV"}
    assert_holds(again, singles, table)
    assert {name: flags.tolist() for name, flags in again.known.items()} == {
        name: flags.tolist() for name, flags in records.known.items()
    }
    # Whoever packs the same records writes the same file.
    assert written(tmp_path / "b.parquet", concatenate([records.take(range(9)), records.take(range(9, 25))])) == (
        bytes_of_file
    )
    batches = list(iterate_parquet(tmp_path / "a.parquet", kind, batch_size=7))
    assert [len(batch) for batch in batches] == [7, 7, 7, 4]
    assert_holds(concatenate(batches), singles, table)


@each_kind
@each_seed
def test_taking_is_packing_the_chosen_ones(kind, seed):
    singles, table = random_records(kind, seed)
    records, rng = from_list(kind, singles, table), np.random.default_rng(seed)
    rows = rng.integers(-25, 25, 40)  # repeated, in any order, counted from either end
    assert_holds(records.take(rows), [singles[row] for row in rows], table.iloc[rows])
    mask = rng.random(25) < 0.5
    chosen = np.flatnonzero(mask)
    assert_holds(records.take(mask), [singles[row] for row in chosen], table.iloc[chosen])
    for name in ("train", "valid", "test"):
        chosen = np.flatnonzero(table["split"] == name)
        assert_holds(records.split(name), [singles[row] for row in chosen], table.iloc[chosen])
    both = concatenate([records.take(rows), records.take([]), records.take(mask)])
    rows = np.concatenate([rows, np.flatnonzero(mask)])
    assert_holds(both, [singles[row] for row in rows], table.iloc[rows])


@each_kind
def test_a_changed_copy_leaves_the_records_alone(kind):
    singles, table = random_records(kind, 0)
    records = from_list(kind, singles, table, {"value": "eV"})
    other = records.with_columns(value=1.0, status="ok")
    assert list(other.table) == [*table, "status"] and other.table["value"].eq(1).all()
    assert list(records.without_table().table) == [] and records.without_table().units == {}
    assert len(records.without_table()) == 25
    assert_holds(records, singles, table)
    with pytest.raises(UserError, match=f"The {kind.schema.name} have no column 'split'"):
        records.without_table().split("train")


@each_kind
@each_seed
def test_one_spoilt_row_is_lost_alone(kind, seed, tmp_path):
    singles, table = random_records(kind, seed)
    path = tmp_path / "a.parquet"
    write_parquet(path, from_list(kind, singles, table))
    rng, file = np.random.default_rng(seed), pq.read_table(path)
    row = int(rng.integers(25))
    name = rng.choice([field.name for field in kind.schema.fields if field.shape or field.block is None])
    # An entry too many; as a plain list, which others write where we know the length.
    lists = file[name].to_pylist()
    like = next(value for value in lists if value)[0]
    lists[row] = [*(lists[row] or []), like, like, like, like, like, like, like]
    place = file.schema.get_field_index(name)
    column = pa.array(lists, pa.list_(file[name].type.value_type))
    pq.write_table(file.set_column(place, name, column), path)

    with pytest.raises(UserError, match=rf"a\.parquet: {kind.schema.one} {row} has \d+ entries in column '{name}'"):
        read_parquet(path, kind)
    records = read_foreign_parquet(path, kind)
    assert np.flatnonzero(records.table["status"] != "ok").tolist() == [row]
    assert np.flatnonzero(records.table["problem"].notna()).tolist() == [row]
    spoilt = values(records, row)
    for field in kind.schema.fields:
        assert spoilt[field.name] is None if field.block is None else len(spoilt[field.name]) == 0
    others = np.delete(np.arange(25), row)
    assert_holds(records.take(others).without_table(), [singles[i] for i in others], pd.DataFrame(index=range(24)))


def test_what_is_unknown_with_a_block_is_0_where_it_is_unknown_alone(tmp_path):
    known, unknown = (random_record(np.random.default_rng(seed), Chains.schema) for seed in (0, 1))
    known |= {"links": np.zeros((1, 2), np.int32), "strengths": np.ones(1, np.float32), "loads": None}
    unknown |= {"links": None, "strengths": None, "loads": np.ones(len(unknown["labels"]), np.int16)}
    known["map"] = np.zeros((OPEN, 2), np.uint16)
    records = from_list(Chains, [known, unknown])
    assert records[0]["loads"].tolist() == [0] * len(known["labels"])
    assert records[1]["loads"] is None
    write_parquet(tmp_path / "a.parquet", records)
    assert pq.read_table(tmp_path / "a.parquet")["loads"].to_pylist() == [[0] * len(known["labels"]), None]


def test_values_that_do_not_fit_each_other_are_refused():
    record = random_record(np.random.default_rng(0), Chains.schema) | {"map": np.zeros((OPEN, 2), np.uint16)}
    with pytest.raises(ValueError, match=f"'frames' has 9 values for {len(record['labels'])} beads"):
        from_list(Chains, [{**record, "frames": np.zeros((9, 2, 3))}])
    with pytest.raises(ValueError, match="'strengths' is None in a record whose links are known"):
        from_list(Chains, [{**record, "links": np.zeros((1, 2)), "strengths": None}])
    with pytest.raises(ValueError, match="'labels' is None in a record whose beads are known"):
        from_list(Chains, [{**record, "labels": None}])


def test_a_block_is_unknown_where_its_first_field_is(from_smiles):
    water, methane = from_smiles("O"), replace(from_smiles("C"), bonds=None)
    molecules = molecules_from_list([methane, water])
    assert molecules.bonds_known.tolist() == [False, True] and molecules.bond_offsets.tolist() == [0, 0, 2]
    assert molecules[0].bond_orders is None
    np.testing.assert_array_equal(molecules[1].bonds, water.bonds)


@each_kind
def test_a_column_cannot_have_the_name_of_a_field(kind, tmp_path):
    singles, _ = random_records(kind, 0)
    name = kind.schema.names[0]
    with pytest.raises(UserError, match=f"a property is named '{name}' like a column of"):
        write_parquet(tmp_path / "a.parquet", from_list(kind, singles).with_columns(**{name: 1}))


@each_kind
def test_a_record_that_is_not_there_is_an_index_error(kind):
    records = from_list(kind, random_records(kind, 0)[0])
    np.testing.assert_equal(values(records, -1), values(records, 24))
    with pytest.raises(IndexError, match=f"{kind.schema.one} 25 of 25"):
        records[25]
