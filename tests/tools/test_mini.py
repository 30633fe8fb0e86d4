"""The committed embedded dataset, and that the code makes it."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from latent3d.base.errors import Failed, UserError
from latent3d.calculations.gfn2.singlepoint import Gfn2
from latent3d.data.molecules.parquet import read_metadata, read_parquet
from latent3d.data.molecules.rdkit import canonical_smiles
from mini import generate as mini

FILE = Path(__file__).parents[2] / "resources" / "mini.parquet"


@pytest.fixture(scope="module")
def molecules():
    return read_parquet(FILE)


@pytest.fixture(scope="module")
def graphs(molecules):
    return [Chem.MolFromSmiles(smiles) for smiles in molecules.table["smiles"]]


def _constitutions(graphs):
    return [canonical_smiles(mol) for mol in graphs]


def test_size_and_columns(molecules):
    assert 3800 <= len(molecules) <= 4100
    assert FILE.stat().st_size < 1.5e6
    assert list(molecules.table) == ["id", "smiles", "split", *mini.UNITS]
    assert molecules.units == mini.UNITS
    assert molecules.table["id"].tolist() == [f"mini-{i:06d}" for i in range(len(molecules))]
    assert not molecules.table.isna().any(axis=None) and np.isfinite(molecules.positions).all()
    assert "GFN2-xTB" in read_metadata(FILE)["level_of_theory"]


def test_composition(molecules, graphs):
    assert set(np.unique(molecules.atomic_numbers)) == {1, 6, 7, 8, 9}
    sizes = Counter(mol.GetNumAtoms() for mol in graphs)
    assert max(sizes) == 7 and sizes[7] > sizes[6] > sizes[5] > sizes[4]
    n = len(molecules)
    assert sum(any(atom.GetIsAromatic() for atom in mol.GetAtoms()) for mol in graphs) >= 0.20 * n
    assert sum(bool(Chem.FindMolChiralCenters(mol, useLegacyImplementation=False)) for mol in graphs) >= 0.30 * n
    assert molecules.table["smiles"].str.contains("F").sum() >= 0.05 * n
    assert not molecules.formal_charges.any()


def test_no_constitution_twice_hence_splits_are_disjoint(molecules, graphs):
    constitutions = _constitutions(graphs)
    assert len(set(constitutions)) == len(molecules)
    shares = molecules.table["split"].value_counts(normalize=True)
    assert shares["train"] == pytest.approx(0.8, abs=0.005)
    assert shares["valid"] == pytest.approx(0.1, abs=0.005) and shares["test"] == pytest.approx(0.1, abs=0.005)


def test_molecules_are_drawn_from_the_enumeration_and_small_ones_are_complete(molecules, graphs):
    left_out = sum(read_metadata(FILE)["left_out"].values())
    drawn = set(mini.draw(range(1, 7)))
    small = {smiles for smiles, mol in zip(_constitutions(graphs), graphs, strict=True) if mol.GetNumAtoms() <= 6}
    assert small <= drawn
    assert len(drawn - small) <= left_out


def test_bonds_stereo_and_electron_count_follow_from_the_geometry(molecules):
    for index in range(0, len(molecules), 7):
        molecule = molecules[index]
        assert mini.bonded_pairs(molecule) == {tuple(sorted(pair)) for pair in molecule.bonds.tolist()}
        assert mini.smiles_of_geometry(molecule) == molecules.table["smiles"][index]
        assert molecule.atomic_numbers.sum() % 2 == 0


def test_properties_are_those_of_the_geometry(molecules):
    for index in np.random.default_rng(0).choice(len(molecules), 25, replace=False):
        molecule, row = molecules[int(index)], molecules.table.iloc[index]
        point = Gfn2(molecule.atomic_numbers, molecule.positions).singlepoint(molecule.positions)
        assert np.abs(point.gradient).max() < 6e-4
        assert point.energy == pytest.approx(row["energy"], abs=1e-6)
        assert point.dipole == pytest.approx(row["dipole"], abs=2e-3)
        assert (point.homo, point.lumo) == pytest.approx((row["homo"], row["lumo"]), abs=2e-3)
        assert row["gap"] == pytest.approx(row["lumo"] - row["homo"], abs=2e-4)


def test_molecules_are_made_again_as_they_are_in_the_file(molecules, graphs):
    heavy = np.array([mol.GetNumAtoms() for mol in graphs])
    for size in (1, 3, 5):
        index = int(np.flatnonzero(heavy == size)[2])
        row, made = molecules.table.iloc[index], mini.make_row(_constitutions([graphs[index]])[0])
        assert made["smiles"] == row["smiles"]
        assert made["bonds"] == molecules[index].bonds.tolist()
        assert made["energy"] == pytest.approx(row["energy"], abs=1e-5)
        assert made["heat_capacity"] == pytest.approx(row["heat_capacity"], abs=0.05)
        assert made["dipole"] == pytest.approx(row["dipole"], abs=0.02)
        assert np.abs(_distances(made["positions"]) - _distances(molecules[index].positions)).max() < 0.02


def _distances(positions):
    positions = np.asarray(positions)
    return np.linalg.norm(positions[:, None] - positions[None], axis=-1)


def test_the_chosen_stereoisomer_is_the_one_embedded():
    smiles, mol = mini.embed_one_stereoisomer("CC(F)C=CO")
    assert smiles.count("@") in (1, 2) and ("/" in smiles or "\\" in smiles)
    assert mini.smiles_of_geometry(mini.from_rdkit(mol)) == smiles
    assert mini.embed_one_stereoisomer("CC(F)C=CO")[0] == smiles


def test_a_geometry_with_another_bond_graph_is_left_out():
    smiles, mol = mini.embed_one_stereoisomer("CCO")
    molecule = mini.from_rdkit(mol)
    molecule.positions[0] += 3.0
    assert smiles == "CCO"
    assert mini.bonded_pairs(molecule) != {tuple(sorted(pair)) for pair in molecule.bonds.tolist()}


def test_an_interrupted_generation_continues(tmp_path, monkeypatch):
    monkeypatch.setattr(mini, "draw", lambda sizes: ["C", "N", "O", "CO"])
    mini.make_mini(tmp_path / "whole.parquet", 1, tmp_path / "checkpoints")
    chunks = sorted((tmp_path / "checkpoints").glob("mini-*/*.json"))
    assert [json.loads(chunk.read_text())["constitution"] for chunk in chunks] == ["C", "N", "O", "CO"]
    made = [chunk.stat().st_mtime_ns for chunk in chunks]
    # As a kill in the middle of writing the third molecule leaves it.
    chunks[2].with_name(".2-half.json").write_text(chunks[2].read_text()[:40])
    chunks[2].unlink()
    chunks[3].unlink()
    mini.make_mini(tmp_path / "again.parquet", 1, tmp_path / "checkpoints")
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert [chunk.stat().st_mtime_ns for chunk in chunks[:2]] == made[:2]


def test_a_damaged_chunk_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(mini, "draw", lambda sizes: ["C"])
    mini.make_mini(tmp_path / "whole.parquet", 1, tmp_path / "checkpoints")
    next((tmp_path / "checkpoints").glob("mini-*/0.json")).write_text('{"constitution": \nnonsense\n')
    with pytest.raises(UserError, match=r"0\.json.*Delete it"):
        mini.make_mini(tmp_path / "again.parquet", 1, tmp_path / "checkpoints")


def test_what_cannot_be_embedded_has_a_reason():
    with pytest.raises(Failed, match="embed_failed"):
        mini.embed_one_stereoisomer("C1C2CN12")
