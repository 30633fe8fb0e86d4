"""gfn2.parquet: one row per requested sample, every failure with its reason."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from latent3d.energy.evaluate import evaluate_files
from latent3d.errors import UserError
from latent3d.molecules.molecules import Molecule, from_list
from latent3d.molecules.parquet import write_parquet

WATER = np.array([[0.00783, 0.39774, 0.0], [-0.76723, -0.18385, 0.0], [0.75941, -0.21389, 0.0]])


def _molecule(numbers, positions, charges=None):
    bonds = None if charges is None else np.zeros((0, 2), np.int16)
    orders = None if charges is None else np.zeros(0, np.uint8)
    charges = None if charges is None else np.array(charges, np.int8)
    positions = np.array(positions, np.float32).reshape(-1, 3)
    return Molecule(np.array(numbers, np.uint8), positions, bonds, orders, charges)


@pytest.fixture
def samples(tmp_path):
    """Samples of which the first and the last two are fine."""
    molecules = [
        _molecule([8, 1, 1], WATER),
        _molecule([], []),
        _molecule([8, 1, 1], WATER * np.nan),
        _molecule([0, 1], [[0, 0, 0], [0, 0, 1]]),
        _molecule([8, 1], WATER[:2]),
        _molecule([8, 1, 1], WATER * 0),
        _molecule([8, 1], WATER[:2], [-1, 0]),
        _molecule([8, 1, 1], WATER, [0, 0, 0]),
    ]
    table = pd.DataFrame(
        {"sample_index": np.arange(8) + 100, "seed": 0, "status": ["ok", "sanitise_failed"] + ["ok"] * 6}
    )
    path = tmp_path / "raw" / "samples.parquet"
    write_parquet(path, from_list(molecules, table))
    return path


def test_every_sample_has_a_row_and_every_failure_a_reason(samples):
    evaluate_files([samples], processes=2)
    rows = pd.read_parquet(samples.with_name("gfn2.parquet"))
    assert rows["sample_index"].tolist() == list(range(100, 108))
    assert rows["status"].tolist() == [
        "ok",
        "sanitise_failed",
        "nan_coordinates",
        "foreign_element",
        "odd_electrons",
        "scf_failed",
        "ok",
        "ok",
    ]
    done = rows["status"] == "ok"
    assert rows.loc[~done, ["energy", "energy_per_atom", "dipole", "homo", "lumo", "gap"]].isna().all(axis=None)
    assert rows["charge"].tolist() == [0, 0, 0, 0, 0, 0, -1, 0]
    assert rows["unpaired_electrons"].tolist()[4] == 1
    assert rows["energy"][0] == pytest.approx(-5.07020801, abs=1e-6)
    assert rows["energy_per_atom"][0] == pytest.approx(-5.07020801 / 3, abs=1e-6)
    assert rows["energy"][7] == rows["energy"][0]
    assert rows["gap"][0] == pytest.approx(rows["lumo"][0] - rows["homo"][0])


def test_what_a_failed_sample_left_is_not_computed(tmp_path):
    table = pd.DataFrame({"sample_index": [0, 1], "seed": 0, "status": ["ff_untyped", "ff_unconverged"]})
    write_parquet(tmp_path / "samples.parquet", from_list([_molecule([8, 1, 1], WATER)] * 2, table))
    evaluate_files([tmp_path / "samples.parquet"], processes=1)
    rows = pd.read_parquet(tmp_path / "gfn2.parquet")
    assert rows["status"].tolist() == ["ff_untyped", "ok"]
    assert rows["energy"].isna().tolist() == [True, False]


def test_bytes_do_not_depend_on_the_run_or_the_number_of_processes(samples):
    out = samples.with_name("gfn2.parquet")
    evaluate_files([samples], processes=1)
    first = out.read_bytes()
    evaluate_files([samples], processes=3)
    assert out.read_bytes() == first


def test_units_and_provenance_are_in_the_file(samples):
    evaluate_files([samples], processes=1)
    metadata = json.loads(pq.read_schema(samples.with_name("gfn2.parquet")).metadata[b"latent3d"])
    assert metadata["units"]["energy"] == "hartree" and metadata["units"]["gap"] == "eV"
    assert set(metadata["versions"]) == {"python", "tblite"} and len(metadata["samples_sha256"]) == 64


def test_a_file_without_samples(tmp_path):
    write_parquet(tmp_path / "samples.parquet", from_list([]))
    evaluate_files([tmp_path / "samples.parquet"], processes=1)
    assert len(pd.read_parquet(tmp_path / "gfn2.parquet")) == 0


def test_an_unreadable_file_is_found_before_the_work(samples, tmp_path):
    broken = tmp_path / "samples.parquet"
    broken.write_bytes(samples.read_bytes()[:100])
    with pytest.raises(UserError, match=r"samples\.parquet is not a readable"):
        evaluate_files([samples, broken], processes=1)
    assert not samples.with_name("gfn2.parquet").exists()
