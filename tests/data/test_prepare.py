import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from latent3d.base.errors import UserError
from latent3d.commands.prepare import _draw_names, make_dataset, prepare, usable
from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.parquet import read_metadata, read_parquet, write_parquet
from latent3d.data.molecules.rdkit import from_rdkit
from latent3d.data.molecules.read import write_molecules

SMILES = ["CCO", "CC(=O)N", "c1ccoc1", "C#CC", "CC(F)Cl", "C1CC1O", "N", "C=O", "CSC", "C[SiH3]"]
SHARES = (0.6, 0.2, 0.2)


def embedded(smiles, hydrogens=True):
    mol = Chem.MolFromSmiles(smiles)
    mol = Chem.AddHs(mol) if hydrogens else mol
    assert AllChem.EmbedMolecule(mol, randomSeed=1) == 0
    return from_rdkit(mol)


@pytest.fixture(scope="module")
def forty():
    one = [embedded(smiles) for smiles in SMILES]
    table = pd.DataFrame({"energy": np.arange(40) / 3, "tag": [f"t{i}" for i in range(40)]})
    return from_list(one * 4, table, {"energy": "hartree"})


def without_bonds(molecules):
    return from_list([Molecule(m.atomic_numbers, m.positions) for m in molecules], molecules.table, molecules.units)


def test_shares_give_every_molecule_a_split_and_ids(forty):
    dataset, dropped = make_dataset(forty, SHARES)
    assert dropped == {}
    assert dataset.table["split"].value_counts().to_dict() == {"train": 24, "valid": 8, "test": 8}
    assert dataset.table["id"].is_unique and dataset.table["id"][3] == "mol_000003"
    assert dataset.table["smiles"].tolist() == [Chem.CanonSmiles(s) for s in SMILES] * 4
    assert dataset.table["energy"].tolist() == forty.table["energy"].tolist() and dataset.units == {"energy": "hartree"}
    again, _ = make_dataset(forty, SHARES)
    assert again.table.equals(dataset.table)


def test_bonds_are_perceived_where_the_file_has_none(forty):
    whole, _ = make_dataset(forty, SHARES)
    bare, dropped = make_dataset(without_bonds(forty), SHARES)
    assert dropped == {} and bare.bonds_known.all()
    assert bare.table["smiles"].tolist() == whole.table["smiles"].tolist()


def test_subsets_are_exact_nested_and_in_file_order(forty):
    small, _ = make_dataset(forty, SHARES, train_size=5, test_size=3)
    large, _ = make_dataset(forty, SHARES, train_size=10, test_size=3)
    assert small.table["split"].value_counts().to_dict() == {"train": 5, "valid": 3, "test": 3}
    assert set(small.table["id"]) <= set(large.table["id"])
    assert large.table["id"].is_monotonic_increasing
    with pytest.raises(UserError, match=r"only 24 usable train molecules, but train_size: 25"):
        make_dataset(forty, SHARES, train_size=25, test_size=1)


def test_only_the_subset_is_looked_at(forty, monkeypatch):
    seen = []

    def spy(function, items, *rest):
        seen.append(len(items))
        return [function(item) for item in items]

    monkeypatch.setattr("latent3d.commands.prepare.map_molecules", spy)
    given = without_bonds(forty).with_columns(split=["train"] * 20 + ["valid"] * 10 + ["test"] * 10)
    make_dataset(given, "column", train_size=4, test_size=2)
    assert seen == [4, 2, 2]


def test_drawn_splits_keep_a_molecule_together_and_the_shares():
    centres = ["C[C@H](F)O", "C[C@@H](F)O"]  # enantiomers: one constitution
    smiles = [*SMILES, *SMILES[:5], *centres, *SMILES[:3]]
    dataset, _ = make_dataset(without_bonds(from_list([embedded(s) for s in smiles])), SHARES)
    splits = dataset.table.groupby("smiles")["split"].nunique()
    assert len(dataset) == len(smiles) and len(splits) == len(SMILES) + 1 and (splits == 1).all()
    many = [str(number) for number in range(300) for _ in range(1 + number % 7)]
    names = _draw_names([*many, None], (0.8, 0.1, 0.1))
    assert names[-1] is None
    counts = pd.Series(names[:-1]).value_counts(normalize=True)
    assert counts.to_dict() == pytest.approx({"train": 0.8, "valid": 0.1, "test": 0.1}, abs=0.005)
    assert names.tolist() == _draw_names([*many, None], (0.8, 0.1, 0.1)).tolist()


def test_unusable_molecules_are_dropped_counted_and_replaced(forty):
    water = embedded("O")
    position = water.positions.copy()
    position[0, 0] = np.nan
    bad = {
        "nan_coordinates": Molecule(water.atomic_numbers, position),
        "decode_failed": Molecule(np.zeros(0, np.uint8), np.zeros((0, 3), np.float32)),
        "foreign_element": Molecule(np.array([8, 0, 1], np.uint8), water.positions),
        "too_large": Molecule(np.ones(600, np.uint8), np.zeros((600, 3), np.float32)),
        "odd_electrons": Molecule(np.array([7, 1, 1], np.uint8), water.positions),
        "radical": embedded("CC", hydrogens=False),
        "fragments": embedded("O.N"),
        "sanitise_failed": Molecule(
            water.atomic_numbers, water.positions, water.bonds, np.full(2, 3, np.uint8), water.formal_charges
        ),
    }
    mixed = from_list([*bad.values(), *forty], pd.DataFrame({"split": ["train"] * 28 + ["valid"] * 10 + ["test"] * 10}))
    dataset, dropped = make_dataset(mixed, "column")
    assert dropped == dict.fromkeys(sorted(bad), 1)
    assert len(dataset) == 40
    subset, _ = make_dataset(mixed, "column", train_size=20, test_size=10)
    assert (subset.table["split"] == "train").sum() == 20, "filled up in spite of unusable ones among the first drawn"


@pytest.mark.parametrize(("bonds", "orders"), [([[0, 1]], [4]), ([[0, 0]], [1]), ([[0, 1], [1, 0]], [1, 1])])
def test_bonds_that_no_graph_can_have_are_a_reason_and_no_traceback(bonds, orders):
    water = embedded("O")
    broken = Molecule(
        water.atomic_numbers, water.positions, np.array(bonds), np.array(orders, np.uint8), water.formal_charges
    )
    assert usable((broken, None)).status == "sanitise_failed"


def test_heavy_elements_just_work():
    heavy = [embedded(s) for s in ("CI", "CBr", "C[Se]C", "C[Ge](C)(C)C", "CSC", "Cl[Sn](Cl)(Cl)Cl")]
    dataset, dropped = make_dataset(without_bonds(from_list(heavy)), (0.5, 0.25, 0.25))
    assert dropped == {} and Chem.CanonSmiles(dataset.table["smiles"][5]) == Chem.CanonSmiles("Cl[Sn](Cl)(Cl)Cl")


def test_ids_are_kept_and_made_unique(forty):
    ids = ["a", "a", None, "b", *[str(i) for i in range(36)]]
    dataset, _ = make_dataset(forty.with_columns(id=ids), SHARES)
    assert dataset.table["id"][:5].tolist() == ["a_mol_000000", "a_mol_000001", "mol_000002", "b", "0"]


def test_file_to_file_with_metadata(forty, tmp_path):
    source = tmp_path / "mine.xyz"
    write_molecules(source, forty)
    with source.open("a") as stream:
        stream.write("3\n\nC 0 0 0\n")  # cut short
    prepare(source, tmp_path / "d.parquet", '{"split": [0.6, 0.2, 0.2], "train_size": 10, "test_size": 4}')
    dataset = read_parquet(tmp_path / "d.parquet")
    assert list(dataset.table)[:3] == ["id", "smiles", "split"] and "status" not in dataset.table
    assert len(dataset) == 18 and dataset.units == {"energy": "hartree"}
    metadata = read_metadata(tmp_path / "d.parquet")
    assert metadata["dropped"] == {"decode_failed": 1} and metadata["file_molecules"] == 41
    first = (tmp_path / "d.parquet").read_bytes()
    prepare(source, tmp_path / "d.parquet", '{"split": [0.6, 0.2, 0.2], "train_size": 10, "test_size": 4}')
    assert (tmp_path / "d.parquet").read_bytes() == first


def test_mistakes_end_in_one_sentence(forty, tmp_path):
    with pytest.raises(UserError, match="has no column 'split'"):
        make_dataset(forty, "column")
    with pytest.raises(UserError, match="says 'training'"):
        make_dataset(forty.with_columns(split=["training"] * 40), "column")
    with pytest.raises(UserError, match="only 0 usable valid molecules"):
        make_dataset(forty.with_columns(split=["train"] * 40), "column")
    with pytest.raises(UserError, match="All hydrogens must be explicit"):
        make_dataset(from_list([embedded("CCO", hydrogens=False)] * 9), SHARES)
    with pytest.raises(UserError, match="holds no molecules"):
        make_dataset(from_list([]), SHARES)
    write_molecules(tmp_path / "m.smi", forty)
    with pytest.raises(UserError, match="3D position"):
        prepare(tmp_path / "m.smi", tmp_path / "d.parquet", '{"split": [0.6, 0.2, 0.2]}')
    for settings, message in (
        ("{", "--settings is not JSON"),
        ('{"splt": "column"}', "unknown key 'splt'.*'split'"),
        ("[]", "--settings"),
        ('{"split": [0.5, 0.1, 0.1]}', "sum to 1"),
        ('{"train_size": -1}', "train_size"),
    ):
        with pytest.raises(UserError, match=message):
            prepare(tmp_path / "m.smi", tmp_path / "d.parquet", settings)
    assert not (tmp_path / "d.parquet").exists()


def test_command_line(forty, tmp_path):
    write_parquet(tmp_path / "m.parquet", forty)
    command = [sys.executable, "-m", "latent3d.cli", "prepare", str(tmp_path / "m.parquet")]
    command += ["--processes", "1", "--out"]
    settings = json.dumps({"source": "file", "file": "m.parquet", "split": SHARES, "rows": None, "test_size": None})
    done = subprocess.run(
        [*command, str(tmp_path / "d.parquet"), "--settings", settings], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "24 train, 8 valid, 8 test; elements H C N O F Si S Cl" in done.stderr
    wrong = subprocess.run([*command, str(tmp_path / "e.parquet"), "--settings", "{}"], capture_output=True, text=True)
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1 and "no column 'split'" in wrong.stderr
