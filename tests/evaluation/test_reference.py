"""Statistics of the training molecules: what they hold, their file, their cache."""

from dataclasses import fields, replace

import numpy as np
import pytest

from latent3d.base.errors import UserError
from latent3d.commands.reference import cached_statistics, get_reference
from latent3d.commands.reference import dataset_file as find_dataset
from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.parquet import write_parquet
from latent3d.data.molecules.read import write_molecules
from latent3d.evaluation.analysis.reference import make_reference, read_reference_molecules
from latent3d.evaluation.analysis.reference_file import read_reference, write_reference


def test_graphs_perceived_bonds_and_the_smiles_column_give_the_same_training_smiles(dataset, dataset_file, workers):
    train = dataset.split("train")
    expected = frozenset(train.table["smiles"])
    bare = from_list([replace(m, bonds=None, bond_orders=None, formal_charges=None) for m in train])
    lost = from_list([Molecule(m.atomic_numbers, m.positions * np.nan) for m in train], train.table)
    with_split = bare.with_columns(split="train")
    for molecules in (train, with_split, lost):
        if molecules is lost:
            with pytest.raises(UserError, match="none of its 8 training molecules is valid"):
                make_reference(molecules, dataset_file, workers, with_fcd=False)
            continue
        assert make_reference(molecules, dataset_file, workers, with_fcd=False).smiles == expected
    mixed = from_list([*train, *lost.take([0, 1])], None).with_columns(split="train")
    texts = mixed.with_columns(smiles=[*train.table["smiles"], "CCCCCC", "not a smiles"])
    assert make_reference(texts, dataset_file, workers, with_fcd=False).smiles == expected | {"CCCCCC"}


def test_statistics_survive_their_file(reference, tmp_path):
    path = tmp_path / "reference.safetensors"
    written = replace(reference, floor={"strict_validity": 1.0, "fcd": None}, chemnet=(np.ones(512), np.eye(512)))
    written = replace(written, chemnet_test=(np.zeros(512), 2 * np.eye(512)))
    write_reference(path, written)
    first = path.read_bytes()
    read = read_reference(path)
    for name in ("sha256", "description", "elements", "smiles", "legacy_smiles", "floor"):
        assert getattr(read, name) == getattr(written, name)
    assert read.profile.parts == written.profile.parts and read.profile.smiles == written.profile.smiles
    for name in ("descriptors", "heavy_atoms", "fingerprints"):
        np.testing.assert_array_equal(getattr(read.profile, name), getattr(written.profile, name))
    np.testing.assert_array_equal(read.valences.allowed, written.valences.allowed)
    for name, array in written.profile.geometry.to_arrays().items():
        np.testing.assert_array_equal(read.profile.geometry.to_arrays()[name], array)
    write_reference(path, read)
    assert path.read_bytes() == first
    assert {field.name for field in fields(read)} == {field.name for field in fields(written)}


def test_a_file_without_split_is_a_reference_as_a_whole(dataset, tmp_path):
    bare = dataset.without_table()
    write_molecules(tmp_path / "all.sdf", bare)
    molecules = read_reference_molecules(tmp_path / "all.sdf", 1)
    assert (molecules.table["split"] == "train").all() and len(molecules) == len(dataset)


def test_the_cache_is_used_and_says_where_it_is(dataset, tmp_path, workers, monkeypatch, capsys):
    monkeypatch.setenv("LATENT3D_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "dataset.parquet"
    write_parquet(file, dataset)
    first = get_reference(str(file), workers, 1, with_fcd=False)
    kept = cached_statistics(file)
    assert kept.is_file() and str(kept) in capsys.readouterr().err
    changed = kept.stat().st_mtime_ns
    second = get_reference(str(file), workers, 1, with_fcd=False)
    assert kept.stat().st_mtime_ns == changed and second.smiles == first.smiles
    assert second.floor == first.floor and first.floor["strict_validity"] == 1
    # Other molecules are another reference.
    write_parquet(file, dataset.take(np.arange(len(dataset) - 1)))
    assert cached_statistics(file) != kept


def test_mistakes_are_plain_sentences(dataset, tmp_path):
    for name, says in (("none.sdf", "no such file"), ("none.safetensors", "does not exist")):
        with pytest.raises(UserError, match=says):
            if name.endswith("safetensors"):
                read_reference(tmp_path / name)
            else:
                find_dataset(str(tmp_path / name), 1)
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(UserError, match="holds no reference statistics"):
        read_reference(tmp_path / "junk.safetensors")
    write_parquet(tmp_path / "test.parquet", dataset.split("test"))
    with pytest.raises(UserError, match="nothing can be compared"):
        read_reference_molecules(tmp_path / "test.parquet", 1)
