import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from latent3d.base.errors import UserError
from latent3d.data.molecules.molecules import EMPTY, Molecule, from_list
from latent3d.data.molecules.parquet import (
    iterate_parquet,
    read_foreign_parquet,
    read_metadata,
    read_parquet,
    write_parquet,
)
from latent3d.data.records import concatenate


@pytest.fixture()
def molecules(from_smiles):
    known = [from_smiles(s) for s in ("CCO", "C[N+](=O)[O-]", "c1ccccc1")]
    cloud = Molecule(np.array([6, 1], np.uint8), np.array([[0, 0, 0], [np.nan, 1e-7, -0.0]], np.float32))
    table = pd.DataFrame({"id": list("abcde"), "status": ["ok"] * 5, "energy": [1.5, None, -2.25, 0.1, None]})
    return from_list([*known, cloud, EMPTY], table, {"energy": "hartree"})


def test_round_trip_is_exact(molecules, tmp_path):
    write_parquet(tmp_path / "a.parquet", molecules, {"note": 1})
    again = read_parquet(tmp_path / "a.parquet")
    for name in (
        "atomic_numbers",
        "atom_offsets",
        "bonds",
        "bond_orders",
        "bond_offsets",
        "formal_charges",
        "bonds_known",
    ):
        np.testing.assert_array_equal(getattr(again, name), getattr(molecules, name), err_msg=name)
    assert again.positions.tobytes() == molecules.positions.tobytes()  # NaN and -0.0 included
    pd.testing.assert_frame_equal(again.table, molecules.table, check_dtype=False)
    assert again.units == {"energy": "hartree"}
    assert read_metadata(tmp_path / "a.parquet")["note"] == 1
    assert again[3].bonds is None
    assert len(again[4]) == 0 and again[4].bonds is not None


def test_missing_values_are_null_in_the_file(molecules, tmp_path):
    write_parquet(tmp_path / "a.parquet", molecules)
    table = pq.read_table(tmp_path / "a.parquet")
    assert table["energy"].to_pylist() == [1.5, None, -2.25, 0.1, None]
    assert table["bonds"].to_pylist()[3] is None
    assert table["atomic_numbers"].to_pylist()[4] == []
    assert table["positions"].type == pa.list_(pa.float32())


def test_equal_molecules_give_equal_bytes(molecules, tmp_path):
    for name in "ab":
        write_parquet(tmp_path / name, molecules.take(range(5)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_molecules_are_what_arrow_makes_of_plain_lists(molecules, tmp_path):
    def lists(name, kind):
        values = [getattr(molecule, name) for molecule in molecules]
        return pa.array([None if v is None else v.ravel().tolist() for v in values], pa.list_(kind))

    columns = {
        "atomic_numbers": lists("atomic_numbers", pa.uint8()),
        "positions": lists("positions", pa.float32()),
        "bonds": lists("bonds", pa.int16()),
        "bond_orders": lists("bond_orders", pa.uint8()),
        "formal_charges": lists("formal_charges", pa.int8()),
        **{name: pa.array(molecules.table[name], from_pandas=True) for name in ("id", "status", "energy")},
    }
    metadata = b'{"note": 1, "schema_version": 1, "units": {"energy": "hartree"}}'
    table = pa.table(columns).replace_schema_metadata({"latent3d": metadata})
    pq.write_table(table, tmp_path / "plain.parquet", compression="zstd", row_group_size=65536)
    write_parquet(tmp_path / "ours.parquet", molecules, {"note": 1})
    assert (tmp_path / "ours.parquet").read_bytes() == (tmp_path / "plain.parquet").read_bytes()


def test_take_split_and_concatenate_agree(molecules):
    parts = concatenate([molecules.take([3, 1]), molecules.take([0])])
    mixed = molecules.take([3, 1, 0])
    np.testing.assert_array_equal(parts.atomic_numbers, mixed.atomic_numbers)
    np.testing.assert_array_equal(parts.bonds, mixed.bonds)
    assert parts.table["id"].tolist() == ["d", "b", "a"]
    assert parts[0].bonds is None
    np.testing.assert_array_equal(parts[1].positions, molecules[1].positions)
    flags = molecules.with_columns(split=["train", "test", "test", "train", "valid"])
    assert flags.split("test").table["id"].tolist() == ["b", "c"]


def test_many_batches_give_the_same_molecules(molecules, tmp_path):
    many = concatenate([molecules] * 40)
    write_parquet(tmp_path / "a.parquet", many)
    again = concatenate(iterate_parquet(tmp_path / "a.parquet", batch_size=7))
    assert again.positions.tobytes() == many.positions.tobytes()
    np.testing.assert_array_equal(again.bonds, many.bonds)


def test_empty_files_are_zero_molecules(molecules, tmp_path):
    write_parquet(tmp_path / "a.parquet", molecules.take([]))
    assert len(read_parquet(tmp_path / "a.parquet")) == 0


def broken(path, **columns):
    base = {"atomic_numbers": [[6, 1]], "positions": [[0.0] * 6], "bonds": [[0, 1]], "bond_orders": [[1]]}
    pq.write_table(pa.table({k: v for k, v in {**base, **columns}.items() if v is not None}), path)


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ({"positions": None}, "positions"),
        ({"positions": [[0.0] * 5]}, "positions"),
        ({"bonds": [[0, 2]]}, "bonds"),
        ({"bonds": [[0, -1]]}, "bonds"),
        ({"bonds": [[0, 1, 1]]}, "bonds"),
        ({"atomic_numbers": [[6, 300]]}, "atomic_numbers"),
        ({"atomic_numbers": ["CH"]}, "atomic_numbers"),
        ({"positions": [[0.0, None, 0.0, 0.0, 0.0, 0.0]]}, "positions"),
        ({"formal_charges": [[0]]}, "formal_charges"),
    ],
)
def test_files_that_break_the_contract_are_named_in_one_sentence(tmp_path, columns, names):
    broken(tmp_path / "bad.parquet", **columns)
    with pytest.raises(UserError, match=names) as error:
        read_parquet(tmp_path / "bad.parquet")
    assert "bad.parquet" in str(error.value)
    assert "\n" not in str(error.value)


BAD_ROWS = {
    "positions": {"positions": [0.0] * 5},
    "bonds": {"bonds": [0, 1, 1]},
    "formal_charges": {"formal_charges": [0]},
    "alone": {"bonds": [], "bond_orders": None},
    "bond to an atom it does not have": {"bonds": [0, 2]},
}


@pytest.mark.parametrize(("reason", "change"), BAD_ROWS.items())
def test_a_row_that_makes_no_sense_fails_alone_in_a_file_of_others(tmp_path, reason, change):
    good = {"atomic_numbers": [8, 1], "positions": [0.0, 0, 0, 0, 0, 1], "bonds": [0, 1], "bond_orders": [1]}
    good |= {"formal_charges": [-1, 0], "id": "good"}
    path = tmp_path / "a.parquet"
    # A null in the row before it must not shift what belongs to whom.
    rows = [good, {**good, "formal_charges": None}, {**good, **change, "id": "bad"}, good, good]
    pq.write_table(pa.Table.from_pylist(rows), path)
    molecules = read_foreign_parquet(path)
    assert molecules.table["status"].tolist() == ["ok", "ok", "decode_failed", "ok", "ok"]
    assert molecules.table["problem"][2].startswith("molecule 2 has") and reason in molecules.table["problem"][2]
    assert molecules.table["problem"].isna().tolist() == [True, True, False, True, True]
    assert molecules.table["id"].tolist() == ["good", "good", "bad", "good", "good"]
    assert len(molecules[2]) == 0
    for row in (0, 3, 4):
        assert molecules[row].atomic_numbers.tolist() == [8, 1] and molecules[row].bonds.tolist() == [[0, 1]]
        assert molecules[row].formal_charges.tolist() == [-1, 0] and molecules[row].positions[1, 2] == 1
    assert molecules[1].formal_charges.tolist() == [0, 0]
    # The suite's own files are not forgiven; the row is counted over all batches.
    with pytest.raises(UserError, match=r"a\.parquet: molecule 2 has"):
        list(iterate_parquet(path, batch_size=2))
    problems = {}
    parts = list(iterate_parquet(path, batch_size=2, problems=problems))
    assert list(problems) == [2] and [len(part) for part in parts] == [2, 2, 1]


def test_a_sound_file_of_others_gets_no_columns(molecules, tmp_path):
    write_parquet(tmp_path / "a.parquet", molecules.without_table())
    assert list(read_foreign_parquet(tmp_path / "a.parquet").table) == []


@pytest.mark.parametrize("keep", [0, 10, 200, -1])
def test_truncated_files_are_refused(molecules, tmp_path, keep):
    path = tmp_path / "cut.parquet"
    write_parquet(path, molecules)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"cut\.parquet is not a readable Parquet file"):
        read_parquet(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.parquet does not exist"):
        read_parquet(tmp_path / "none.parquet")
