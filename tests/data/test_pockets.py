import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from rdkit import Chem

from latent3d.base.errors import UserError
from latent3d.data.parquet import read_metadata, read_parquet, write_parquet
from latent3d.data.pockets.pockets import Pockets
from latent3d.data.records import from_list

# Thrombin (PDB entry 1bcu): residue 60D is the fourth that chymotrypsin does not have.
PDB = """\
ATOM     36  CB  CYS H  58       2.822  27.720  56.478  1.00  0.00           C
ATOM     37  SG  CYS H  58       4.313  27.611  55.473  1.00  0.00           S
ATOM     38  N   TRP H  60D     -3.432  16.564  56.204  1.00  0.00           N
ATOM     39  CA  TRP H  60D     -2.553  16.188  57.311  1.00  0.00           C
ATOM     44  CD1 TRP H  60D     -0.784  15.099  55.158  1.00  0.00           C
ATOM     60  CA  GLY H 142      14.839  24.324  56.524  1.00  0.00           C
"""
CENTRE = np.array([9.1, 20.2, 50.3], np.float32)


def pocket(file):
    """A pocket's values by field, as RDKit reads them."""
    mol = Chem.MolFromPDBFile(str(file), sanitize=False)
    infos = [atom.GetPDBResidueInfo() for atom in mol.GetAtoms()]
    keys = [
        (i.GetResidueName().strip(), f"{i.GetResidueNumber()}{i.GetInsertionCode()}".strip(), i.GetChainId())
        for i in infos
    ]
    residues = list(dict.fromkeys(keys))
    names, numbers, chains = zip(*residues, strict=True)
    return {
        "atomic_numbers": [atom.GetAtomicNum() for atom in mol.GetAtoms()],
        "positions": mol.GetConformer().GetPositions(),
        "atom_names": [info.GetName().strip() for info in infos],
        "atom_residues": [residues.index(key) for key in keys],
        "residue_names": names,
        "residue_numbers": numbers,
        "chains": chains,
        "centre": CENTRE,
    }


@pytest.fixture()
def pockets(tmp_path):
    (tmp_path / "pocket.pdb").write_text(PDB)
    one = pocket(tmp_path / "pocket.pdb")
    part = {**one, **{name: one[name][:2] for name in ("atomic_numbers", "positions", "atom_names", "atom_residues")}}
    part |= {name: one[name][:1] for name in ("residue_names", "residue_numbers", "chains")} | {"centre": None}
    return from_list(Pockets, [one, part], pd.DataFrame({"id": ["1bcu", "part"], "ligand_id": ["1bcu_PRL", None]}))


def test_a_pocket_of_a_pdb_file_keeps_its_names(pockets, tmp_path):
    write_parquet(tmp_path / "a.parquet", pockets)
    again = read_parquet(tmp_path / "a.parquet", Pockets)
    first, second = again[0], again[1]
    assert first["atomic_numbers"].tolist() == [6, 16, 7, 6, 6, 6]
    assert first["atom_names"].tolist() == [b"CB", b"SG", b"N", b"CA", b"CD1", b"CA"]
    assert first["residue_numbers"][first["atom_residues"]].tolist() == [b"58"] * 2 + [b"60D"] * 3 + [b"142"]
    assert first["residue_names"].tolist() == [b"CYS", b"TRP", b"GLY"] and set(first["chains"].tolist()) == {b"H"}
    np.testing.assert_array_equal(first["positions"][2], np.float32([-3.432, 16.564, 56.204]))
    np.testing.assert_array_equal(first["centre"], CENTRE)
    assert second["atom_names"].tolist() == [b"CB", b"SG"] and second["residue_names"].tolist() == [b"CYS"]
    assert second["centre"] is None
    assert again.table["ligand_id"].isna().tolist() == [False, True]


def test_pandas_reads_a_pocket_in_words(pockets, tmp_path):
    write_parquet(tmp_path / "a.parquet", pockets)
    row = pd.read_parquet(tmp_path / "a.parquet").iloc[0]
    assert row["atom_names"].tolist() == ["CB", "SG", "N", "CA", "CD1", "CA"]
    assert row["residue_numbers"].tolist() == ["58", "60D", "142"]
    metadata = read_metadata(tmp_path / "a.parquet")
    assert metadata["kind"] == "pockets" and metadata["fields"]["positions"] == {"shape": [3], "unit": "angstrom"}


def changed(path, name, values):
    table = pq.read_table(path)
    column = table.schema.get_field_index(name)
    pq.write_table(table.set_column(column, name, [values]), path)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("atom_residues", [[0, 0, 1, 1, 1, 3], [0, 0]], "pocket 0 has an atom to a residue it does not have"),
        ("chains", [["H"] * 3, []], "pocket 1 has 0 entries in column 'chains' where 1 are needed"),
        ("centre", [None, [1.0, 2.0]], "pocket 1 has 2 entries in column 'centre' where 3 are needed"),
        ("atom_names", [["CALPHA"] * 6, ["C"] * 2], "'atom_names' must hold ASCII text of at most 4 letters"),
        ("atom_names", [["Cα"] * 6, ["C"] * 2], "'atom_names' must hold ASCII text of at most 4 letters"),
        ("atom_names", [["C"] * 6, ["C", None]], "'atom_names' has null entries"),
    ],
)
def test_pockets_that_make_no_sense_are_named(pockets, tmp_path, name, values, message):
    write_parquet(tmp_path / "a.parquet", pockets)
    changed(tmp_path / "a.parquet", name, values)
    with pytest.raises(UserError, match=message):
        read_parquet(tmp_path / "a.parquet", Pockets)


def test_names_are_never_cut(pockets):
    with pytest.raises(ValueError, match="'atom_names' has more than 4 letters"):
        from_list(Pockets, [{**pockets[0], "atom_names": ["CALPHA"] * 6}])
