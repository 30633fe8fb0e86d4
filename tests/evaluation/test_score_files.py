"""`latent3d score` on files as users have them: every format, broken records, and what is written."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from latent3d.base.errors import UserError
from latent3d.calculations import energies_file
from latent3d.commands.score import score_files
from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.parquet import write_parquet
from latent3d.data.molecules.rdkit import from_rdkit
from latent3d.data.molecules.read import read_molecules, write_molecules
from latent3d.evaluation.analysis.reference_file import write_reference
from latent3d.evaluation.context import Options

OPTIONS = Options(posebusters=0, fcd=False)


@pytest.fixture
def run(tmp_path, reference):
    """Score one file; returns metrics.json and the ledger."""
    write_reference(tmp_path / "reference.safetensors", reference)

    def run(file, options=OPTIONS, failures=False, energies=None):
        out = tmp_path / "out"
        name = str(tmp_path / "reference.safetensors")
        (metrics,) = score_files([file], [out], name, energies, options, 2, failures)
        assert json.loads((out / "metrics.json").read_text()) == metrics
        return metrics, pd.read_csv(out / "ledger.csv")

    return run


@pytest.mark.parametrize("name", ["a.sdf", "a.sdf.gz", "a.xyz", "a.parquet", "a.smi"])
def test_every_format_gives_the_same_numbers(run, tmp_path, dataset, name):
    write_molecules(tmp_path / name, dataset)
    metrics, ledger = run(tmp_path / name)
    values = metrics["values"]
    # Two molecules have an atom that no training molecule has: fluorine, and the nitrogen of a nitro group.
    assert (values["strict_validity"], values["molecule_stability"]) == (1, 12 / 14)
    assert values["valid_unique_novel"] == 6 / 14
    assert (values["legacy_molecule_stability"] is None) == (name == "a.smi")
    assert ledger["smiles"].tolist() == dataset.table["smiles"].tolist()
    assert metrics["provenance"]["samples"] == name and "machine" not in json.dumps(metrics)


def test_conformers_are_samples_and_no_new_molecules(run, tmp_path, from_smiles):
    conformers = from_list([from_smiles("CCO")] * 3 + [from_smiles("C")])
    write_molecules(tmp_path / "conformers.sdf.gz", conformers.with_columns(id=["m1", "m1", "m1", "m2"]))
    metrics, ledger = run(tmp_path / "conformers.sdf.gz")
    assert metrics["n_requested"] == 4 and metrics["values"]["valid_unique"] == 0.5
    assert ledger["id"].tolist() == ["m1", "m1", "m1", "m2"]


def polymer():
    """A chain of 62 carbons: 188 atoms."""
    mol = Chem.AddHs(Chem.MolFromSmiles("C" * 62))
    AllChem.EmbedMolecule(mol, randomSeed=1, useRandomCoords=True)
    return from_rdkit(mol)


def test_every_kind_of_bad_record_is_counted_and_named(run, tmp_path, from_smiles):
    methane = from_smiles("C")
    undefined = replace(methane, positions=np.full((5, 3), np.nan, np.float32))
    collapsed = replace(methane, positions=np.zeros((5, 3), np.float32))
    molecules = [methane, undefined, collapsed, polymer(), from_smiles("[Na+].[Cl-]"), methane]
    write_molecules(tmp_path / "good.sdf", from_list(molecules))
    text = (tmp_path / "good.sdf").read_text()
    records = text.split("$$$$\n")
    cut = records[0][: len(records[0]) // 2] + "\n"
    unknown = records[0].replace(" C ", " Qq ", 1)
    (tmp_path / "bad.sdf").write_text("$$$$\n".join([*records[:-1], cut, "what is this?\n", unknown, ""]))
    metrics, ledger = run(tmp_path / "bad.sdf", failures=True)
    assert metrics["n_requested"] == len(ledger) == 9
    assert ledger["strict"].tolist() == [
        "ok", "nan_coordinates", "atoms_overlap", "ok", "foreign_element", "ok",
        "decode_failed", "decode_failed", "foreign_element",
    ]  # fmt: skip
    assert "Qq" in ledger["problem"].iloc[-1]
    assert ledger["problem"].notna().tolist() == [False, True, False, False, False, False, True, True, True]
    assert sum(metrics["failures"].values()) == 6
    assert metrics["values"]["strict_validity"] == 3 / 9
    failed = read_molecules(tmp_path / "out" / "failures.sdf")
    assert failed.table["strict"].tolist() == [reason for reason in ledger["strict"] if reason != "ok"]


def test_xyz_and_smiles_records_go_on_after_a_bad_one(run, tmp_path):
    water = "3\n\nO 0 0 0\nH 0 0.757 0.587\nH 0 -0.757 0.587\n"
    (tmp_path / "mixed.xyz").write_text(water + "nonsense\n" + water + "2\n\nC 0 0 0\nXx 1 1 1\n" + "5\n\nC 0 0 0\n")
    metrics, ledger = run(tmp_path / "mixed.xyz")
    assert ledger["strict"].tolist()[0] == "ok" and metrics["n_requested"] == len(ledger) == 5
    assert sum(ledger["strict"] == "ok") == 2
    with gzip.open(tmp_path / "mixed.smi.gz", "wt") as stream:
        stream.write("CCO\nnot a smiles\nC1CC\n[CH3]\nc1ccccc1 benzene\n")
    metrics, ledger = run(tmp_path / "mixed.smi.gz")
    assert ledger["strict"].tolist() == ["ok", "decode_failed", "decode_failed", "radical", "ok"]


def test_files_that_hold_no_molecules(run, tmp_path):
    (tmp_path / "empty.sdf").write_text("")
    metrics, ledger = run(tmp_path / "empty.sdf")
    assert metrics["n_requested"] == len(ledger) == 0
    (tmp_path / "text.sdf").write_text("To be or not to be\n" * 30)
    assert run(tmp_path / "text.sdf")[0]["failures"] == {"decode_failed": 1}
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 cut")
    for name, says in (
        ("picture.png", "rename or convert"),
        ("broken.parquet", "not a readable"),
        ("none.sdf", "exist"),
    ):
        with pytest.raises(UserError, match=says):
            run(tmp_path / name)


def test_a_status_that_is_the_users_own_is_no_failure(run, tmp_path, dataset, capsys):
    write_molecules(tmp_path / "a.sdf", dataset.with_columns(status="Approved"))
    metrics, _ = run(tmp_path / "a.sdf")
    assert metrics["values"]["strict_validity"] == 1
    assert "'Approved'" in capsys.readouterr().err
    write_parquet(tmp_path / "b.parquet", dataset.with_columns(status=range(14)))
    assert run(tmp_path / "b.parquet")[0]["values"]["strict_validity"] == 1


def test_where_bonds_come_from_is_recorded(run, tmp_path, dataset):
    write_molecules(tmp_path / "a.xyz", dataset)
    metrics, ledger = run(tmp_path / "a.xyz")
    assert metrics["counts"]["bonds_perceived"] == 14 and set(ledger["bonds"]) == {"perceived"}
    write_molecules(tmp_path / "a.sdf", dataset)
    assert run(tmp_path / "a.sdf")[0]["counts"]["bonds_perceived"] == 0


def test_failures_never_cost_the_result(run, tmp_path, from_smiles):
    methane = from_smiles("C")
    heavy = Molecule(np.array([100], np.uint8), np.zeros((1, 3), np.float32))
    table = pd.DataFrame({"note": ["two\n\nlines", "> <x>"]})
    write_parquet(tmp_path / "a.parquet", from_list([methane, heavy], table))
    metrics, _ = run(tmp_path / "a.parquet", failures=True)
    assert metrics["failures"] == {"foreign_element": 1}
    assert len(read_molecules(tmp_path / "out" / "failures.sdf")) == 1


def test_few_samples_have_no_interval_of_sets(run, tmp_path, dataset):
    write_molecules(tmp_path / "a.parquet", dataset.split("test").take([0, 1, 2]))
    metrics, _ = run(tmp_path / "a.parquet")
    assert "bond_length_wasserstein" in metrics["values"]
    assert not {"bond_length_wasserstein", "mw_wasserstein", "ring_systems_unseen"} & set(metrics["intervals"])


def test_repeats_are_byte_identical(run, tmp_path, dataset):
    write_molecules(tmp_path / "a.sdf", dataset)
    written = []
    for _ in range(2):
        run(tmp_path / "a.sdf", Options(posebusters=4, energy_ratio=2, fcd=False))
        written.append([(tmp_path / "out" / name).read_bytes() for name in ("ledger.csv", "metrics.json")])
    assert written[0] == written[1]


def test_posebusters_counts_what_it_tested(run, tmp_path, dataset, from_smiles):
    methane = from_smiles("C")
    methyl = Molecule(
        methane.atomic_numbers[:4],
        methane.positions[:4],
        methane.bonds[:3],
        methane.bond_orders[:3],
        np.zeros(4, np.int8),
    )
    cloud = Molecule(np.full(9, 6, np.uint8), np.random.default_rng(0).normal(0, 1, (9, 3)).astype(np.float32))
    samples = from_list([*dataset.split("test"), methyl, cloud])
    write_molecules(tmp_path / "a.parquet", samples.with_columns(status=["ok"] * 5 + ["decode_failed"]))
    metrics, ledger = run(tmp_path / "a.parquet", Options(energy_ratio=0, fcd=False))
    values, counts = metrics["values"], metrics["counts"]
    assert counts["posebusters_tested"] == 6 and counts["posebusters_quick"] == 4
    assert values["posebusters_quick"] == 4 / 6 == values["posebusters_no_radicals"]
    assert values["posebusters_bond_lengths"] == 5 / 6
    assert values["posebusters"] is None and values["posebusters_internal_energy"] is None
    assert ledger["posebusters"].tolist() == ["ok"] * 4 + ["no_radicals", "sample_failed"]
    metrics, ledger = run(tmp_path / "a.parquet", Options(posebusters=3, energy_ratio=2, fcd=False))
    assert ledger["posebusters"].notna().sum() == 3 == metrics["counts"]["posebusters_tested"]
    assert metrics["counts"]["posebusters_energy_tested"] == 2


def write_energies(path, status, per_atom, first=100):
    count = len(status)
    pd.DataFrame(
        {
            "sample_index": range(first, first + count),
            "status": status,
            "energy_per_atom": per_atom,
            "heavy_atoms": 3,
        }
    ).to_parquet(path)


def test_energies_belong_to_their_samples(run, tmp_path, dataset):
    samples = tmp_path / "samples.parquet"
    write_parquet(samples, dataset.with_columns(sample_index=range(100, 114)))
    energies = tmp_path / "energies.parquet"
    write_energies(energies, ["ok"] * 14, [-2.0] * 14)
    reference = tmp_path / "reference" / "energies.parquet"
    reference.parent.mkdir()
    write_energies(reference, ["ok", "ok", "timeout"], [-2.01, -2.01, None], first=0)
    values = run(samples, energies=reference)[0]["values"]
    assert values["gfn2_success"] == 1
    assert values["gfn2_energy_per_atom_wasserstein"] == pytest.approx(6.275, abs=1e-3)
    write_energies(energies, ["ok"] * 14, [-1.0] * 14, first=0)
    with pytest.raises(UserError, match="not of the samples"):
        run(samples)
    rows = {"sample_index": range(100, 114), "status": ["ok"] * 14, "energy_per_atom": [-1.0] * 14}
    rows["heavy_atoms"] = [3] * 14
    energies_file.write_energies(energies, rows, {"samples_sha256": "of samples made before"})
    with pytest.raises(UserError, match="not of the samples"):
        run(samples)
    energies.write_bytes(b"PAR1 cut off")
    with pytest.raises(UserError, match="Delete it"):
        run(samples)
    # Beside a file of another name, energies.parquet is not its own.
    write_parquet(tmp_path / "mine.parquet", dataset)
    assert run(tmp_path / "mine.parquet")[0]["values"]["gfn2_success"] is None
