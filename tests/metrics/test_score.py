import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from latent3d.energy import evaluate
from latent3d.errors import UserError
from latent3d.metrics.score import read_reference, score, score_file, score_files
from latent3d.molecules.molecules import Molecule, from_list
from latent3d.molecules.parquet import write_parquet

KCAL = 627.5094740631


@pytest.fixture
def folder(tmp_path, dataset, from_smiles):
    """A reference, and ten samples: six sound (one twice, four of them novel), four failures of different stages."""
    write_parquet(tmp_path / "dataset.parquet", dataset)
    methane = from_smiles("C")
    undefined = Molecule(methane.atomic_numbers, np.full((5, 3), np.nan, np.float32))
    empty = Molecule(np.zeros(0, np.uint8), np.zeros((0, 3), np.float32))
    charged = from_smiles("[NH4+]")
    molecules = [*dataset.split("test"), methane, methane, undefined, empty, charged, methane]
    status = ["ok"] * 6 + ["ok", "decode_failed", "ok", "ff_untyped"]
    table = pd.DataFrame({"sample_index": range(100, 110), "seed": 3, "status": status})
    write_parquet(tmp_path / "raw" / "samples.parquet", from_list(molecules, table))
    return tmp_path


def write_energies(folder, status, per_atom, first=100):
    count = len(status)
    pd.DataFrame(
        {"sample_index": range(first, first + count), "status": status, "energy_per_atom": per_atom}
    ).to_parquet(folder / "gfn2.parquet")


def test_failures_stay_in_every_denominator(folder):
    metrics = score_file(folder / "raw" / "samples.parquet", read_reference(folder / "dataset.parquet"))
    ledger = pd.read_parquet(folder / "raw" / "ledger.parquet")
    assert metrics == json.loads((folder / "raw" / "metrics.json").read_text())
    assert metrics["n_requested"] == len(ledger) == 10
    values = metrics["values"]
    assert values["strict_validity"] == 0.6
    assert values["valid_unique"] == 0.5
    assert values["valid_unique_novel"] == 0.4
    # Ammonium has a nitrogen of valence four: unstable and invalid for the legacy rule too.
    assert values["legacy_molecule_stability"] == 0.6
    assert values["legacy_validity"] == 0.6
    assert values["legacy_uniqueness"] == 5 / 6
    assert values["legacy_novelty"] == 4 / 5
    assert values["gfn2_success"] is None and values["gfn2_energy_per_atom_wasserstein"] is None
    assert metrics["failures"] == {"charged": 1, "decode_failed": 1, "ff_untyped": 1, "nan_coordinates": 1}
    assert ledger["sample_index"].tolist() == list(range(100, 110))
    assert ledger["strict"].tolist() == ["ok"] * 6 + ["nan_coordinates", "decode_failed", "charged", "ff_untyped"]
    assert ledger["smiles"].isna().tolist() == [False] * 6 + [True] * 4
    assert ledger["novel"].tolist() == [True] * 4 + [False] * 2 + [None] * 4
    assert ledger["legacy_stable"].tolist() == [True] * 6 + [False] * 4
    assert ledger["gfn2"].isna().all()
    low, high = metrics["intervals"]["strict_validity"]
    assert low < 0.6 < high


def test_energies(folder, tmp_path):
    status = ["ok"] * 5 + ["scf_failed", "nan_coordinates", "decode_failed", "ok", "ok"]
    energy = [-2.0] * 5 + [None, None, None, -2.0, -9.0]
    write_energies(folder / "raw", status, energy)
    (tmp_path / "reference").mkdir()
    write_energies(tmp_path / "reference", ["ok", "ok", "timeout"], [-2.01, -2.01, None], first=0)
    reference = read_reference(folder / "dataset.parquet", tmp_path / "reference" / "gfn2.parquet")
    metrics = score_file(folder / "raw" / "samples.parquet", reference)
    # The untyped sample is a failure whatever energy its left-over geometry has.
    assert metrics["counts"]["gfn2_ok"] == 6
    assert metrics["values"]["gfn2_success"] == 0.6
    assert metrics["values"]["gfn2_energy_per_atom_wasserstein"] == pytest.approx(0.01 * KCAL)
    assert metrics["failures"] == {
        "charged": 1, "decode_failed": 1, "ff_untyped": 1, "nan_coordinates": 1, "scf_failed": 1
    }  # fmt: skip
    ledger = pd.read_parquet(folder / "raw" / "ledger.parquet")
    assert ledger["gfn2"].tolist() == [*status[:9], "ff_untyped"]


def test_training_molecules_are_not_novel(folder, dataset):
    reference = read_reference(folder / "dataset.parquet")
    _, metrics = score(dataset.split("train"), reference)
    assert metrics["values"]["legacy_novelty"] == 0
    assert metrics["values"]["valid_unique_novel"] == 0
    assert metrics["values"]["valid_unique"] == metrics["values"]["strict_validity"] == 1


def test_sets_are_nested(folder, dataset):
    reference = read_reference(folder / "dataset.parquet")
    for noise in (0.02, 0.1, 0.2):
        many = dataset.take(np.arange(200) % len(dataset))
        moved = many.with_positions(many.positions + np.random.default_rng(0).normal(0, noise, many.positions.shape))
        values = score(from_list([replace(m, bonds=None) for m in moved]), reference)[1]["values"]
        assert 1 >= values["strict_validity"] >= values["valid_unique"] >= values["valid_unique_novel"] >= 0


def test_repeats_are_byte_identical(folder):
    sample = folder / "raw" / "samples.parquet"
    written = []
    for _ in range(2):
        score_files([sample], folder / "dataset.parquet", None)
        written.append([(folder / "raw" / name).read_bytes() for name in ("ledger.parquet", "metrics.json")])
    assert written[0] == written[1]


def test_nothing_requested(folder):
    ledger, metrics = score(from_list([]), read_reference(folder / "dataset.parquet"))
    assert len(ledger) == 0 and metrics["n_requested"] == 0
    assert set(metrics["values"].values()) == {None} and metrics["intervals"] == {}


def test_mistakes_are_plain_sentences(folder, dataset):
    reference = read_reference(folder / "dataset.parquet")
    with pytest.raises(UserError, match="does not exist"):
        score_file(folder / "none.parquet", reference)
    with pytest.raises(UserError, match="does not exist"):
        read_reference(folder / "none.parquet")
    with pytest.raises(UserError, match="does not exist"):
        read_reference(folder / "dataset.parquet", folder / "gfn2.parquet")
    with pytest.raises(UserError, match="not a readable gfn2"):
        read_reference(folder / "dataset.parquet", folder / "dataset.parquet")
    write_parquet(folder / "no_train.parquet", dataset.split("test"))
    with pytest.raises(UserError, match="split"):
        read_reference(folder / "no_train.parquet")
    write_energies(folder / "raw", ["ok"] * 10, [-1.0] * 10, first=0)
    with pytest.raises(UserError, match="not of the samples"):
        score_file(folder / "raw" / "samples.parquet", reference)
    rows = pd.DataFrame({"sample_index": range(100, 110), "status": "ok", "charge": 0, "unpaired_electrons": 0})
    rows[["energy", "energy_per_atom", "dipole", "homo", "lumo", "gap"]] = -1.0
    evaluate.write_energies(folder / "raw" / "gfn2.parquet", rows, samples_sha256="of samples made before")
    with pytest.raises(UserError, match="not of the samples"):
        score_file(folder / "raw" / "samples.parquet", reference)
    (folder / "raw" / "gfn2.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(UserError, match="Delete it"):
        score_file(folder / "raw" / "samples.parquet", reference)
    assert not (folder / "raw" / "metrics.json").exists()
