import gzip
import time

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from latent3d.base.errors import UserError
from latent3d.commands.prepare import usable
from latent3d.data.molecules import textfile
from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.parquet import write_parquet
from latent3d.data.molecules.rdkit import from_rdkit
from latent3d.data.molecules.read import read_molecules, write_molecules

SMILES = ["CC(=O)[O-].[NH4+]", "c1ccc2[nH]ccc2c1", "C#N", "C[N+](=O)[O-]", "[He]", "FC(F)(Cl)Br"]


@pytest.fixture
def molecules():
    """Embedded molecules, then a lone graph-less one, an empty one, and awkward float32 coordinates."""
    parts = []
    for smiles in SMILES:
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        assert AllChem.EmbedMolecule(mol, randomSeed=7) == 0
        parts.append(from_rdkit(mol))
    awkward = np.array([[1 / 3, -0.0, 1e-30], [123456.789, -1.1754944e-38, 3.4028235e38]], np.float32)
    parts += [Molecule(np.array([6, 8], np.uint8), awkward), parts[2]]
    parts.append(Molecule(np.zeros(0, np.uint8), np.zeros((0, 3), np.float32)))
    table = pd.DataFrame(
        {
            "id": [f"00{i}" for i in range(len(parts))],
            "split": ["train", "valid", "test"] * 3,
            "mu": [0.1, np.nan, -0.0, 1e-300, 2.0, 3.0, 1 / 3, np.nan, 7.0],
            "count": np.arange(9),
            "note": ["a b", 'quo"te', None, "k=v", "back\\slash", "x", "ü", "[1]", "s"],
        }
    )
    return from_list(parts, table, {"mu": "debye"})


def assert_same(a, b, bonds=True):
    assert len(a) == len(b)
    np.testing.assert_array_equal(a.atomic_numbers, b.atomic_numbers)
    assert a.positions.tobytes() == b.positions.tobytes()
    np.testing.assert_array_equal(a.atom_offsets, b.atom_offsets)
    if bonds:
        np.testing.assert_array_equal(a.bonds_known, b.bonds_known)
        np.testing.assert_array_equal(a.bonds, b.bonds)
        np.testing.assert_array_equal(a.bond_orders, b.bond_orders)
        np.testing.assert_array_equal(a.formal_charges, b.formal_charges)
    assert a.units == b.units


@pytest.mark.parametrize("suffix", [".sdf", ".sdf.gz", ".xyz", ".xyz.gz", ".parquet"])
def test_round_trip_is_exact(tmp_path, molecules, suffix):
    path = tmp_path / f"m{suffix}"
    write_molecules(path, molecules)
    back = read_molecules(path)
    assert_same(molecules, back, bonds="xyz" not in suffix)
    pd.testing.assert_frame_equal(back.table, molecules.table, check_like=True, check_exact=True)
    assert "status" not in back.table
    first = path.read_bytes()
    write_molecules(path, back)
    if suffix != ".parquet":
        assert path.read_bytes() == first


def test_ten_thousand_molecules_load_in_well_under_a_second(tmp_path, molecules):
    many = molecules.take(np.arange(10_000) % len(molecules))
    write_molecules(tmp_path / "m.parquet", many)
    started = time.perf_counter()
    back = read_molecules(tmp_path / "m.parquet")
    assert time.perf_counter() - started < 0.5
    assert_same(many, back)


def test_random_float32_survive_text(tmp_path):
    bits = np.random.default_rng(0).integers(0, 2**32, 13000, dtype=np.uint32).view(np.float32)
    bits = bits[np.isfinite(bits)][:12000].reshape(-1, 3)
    one = from_list([Molecule(np.full(len(bits), 6, np.uint8), bits)])
    write_molecules(tmp_path / "m.xyz", one)
    assert read_molecules(tmp_path / "m.xyz").positions.tobytes() == bits.tobytes()


def test_smiles_file(tmp_path):
    path = tmp_path / "m.smi"
    path.write_text(
        "smiles name\nCCO ethanol\nC[C@H](F)Cl two words\nnot_a_smiles x\nC(C)(C)(C)(C)C\n\n[U]\n*C\nN->B\nN\n\n"
    )
    read = read_molecules(path)
    assert read.table["status"].tolist() == [
        "ok",
        "ok",
        "decode_failed",
        "sanitise_failed",
        "decode_failed",  # an empty line: a sample that a generator failed to write
        "foreign_element",
        "foreign_element",
        "sanitise_failed",  # a dative bond
        "ok",
    ]
    assert read.atom_counts.tolist() == [9, 8, 0, 0, 0, 0, 0, 0, 4]
    assert read.table["id"][1] == "two words"
    assert np.isnan(read.positions).all() and read.bonds_known[[0, 1, 8]].all()
    good = read.take([0, 1, 8])
    write_molecules(tmp_path / "again.smi.gz", good)
    again = read_molecules(tmp_path / "again.smi.gz")
    np.testing.assert_array_equal(again.bonds, good.bonds)


def test_bad_xyz_frames_stay_in_place(tmp_path):
    path = tmp_path / "m.xyz"
    good = "2\nfree text\nO 0 0 0\nh 0 0 1e0\n"
    frames = [
        good,
        "2\n\nO 0 0 0\nXx 0 0 1\n",
        good,
        "3\n\nO 0 0 0\nH 0 0 1\n",  # cut short
        good,
        "2\n\nO 0 0 zero\nH 0 0 1\n",
        "1\n\n6 0 nan 0\n",
        "1\n\nC 1e999 0 0\n",
        "rubbish\nmore rubbish\n",
        good,
        "99999\n\n",
        "5\n\nC 0 0 0\n",
    ]
    path.write_text("".join(frames).replace("\n", "\r\n"))
    read = read_molecules(path)
    assert read.table["status"].tolist() == [
        "ok",
        "foreign_element",
        "ok",
        "decode_failed",
        "ok",
        "decode_failed",
        "nan_coordinates",
        "nan_coordinates",
        "decode_failed",
        "ok",
        "decode_failed",
        "decode_failed",
    ]
    assert read.atom_counts.tolist() == [2, 0, 2, 0, 2, 0, 1, 1, 0, 2, 0, 0]
    assert read.table["problem"][1] == "record 2: unknown element 'Xx'"
    assert read.table["comment"][0] == "free text"
    assert not read.bonds_known.any()


V2000 = """water
  x

  3  2  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.1173 O   0  0
    0.0000    0.7572   -0.4692 H   0  0
    0.0000   -0.7572   -0.4692 H   0  0
  1  2  1  0
  1  3  1  0
M  END
> <energy>
-76.4

$$$$
"""


V3000_NAN = """
  x

  0  0  0     0  0            999 V3000
M  V30 BEGIN CTAB
M  V30 COUNTS 1 0 0 0 0
M  V30 BEGIN ATOM
M  V30 1 He nan 0.0 0.0 0
M  V30 END ATOM
M  V30 END CTAB
M  END
$$$$
"""


def test_bad_sdf_records_stay_in_place(tmp_path):
    path = tmp_path / "m.sdf"
    pentavalent = V2000.replace("  1  3  1", "  1  3  4")  # an aromatic bond outside any ring
    records = [
        V2000,
        V2000.replace("  3  2  0", "  9  2  0"),
        V2000.replace(" O   0", " U   0"),
        pentavalent,
        "$$$$\n",
        V2000.replace("M  END\n", ""),
        V3000_NAN,
        V2000.replace("\n$$$$\n", ""),  # the last record without its end mark
    ]
    path.write_text("".join(records))
    read = read_molecules(path)
    assert read.table["status"].tolist() == [
        "ok",
        "decode_failed",
        "foreign_element",
        "sanitise_failed",
        "decode_failed",
        "decode_failed",
        "nan_coordinates",
        "ok",
    ]
    assert read.atom_counts.tolist() == [3, 0, 0, 3, 0, 0, 1, 3]
    assert read.bonds_known[[0, 7]].all() and not read.bonds_known[3]
    assert read.table["energy"][0] == -76.4
    assert read.table["id"][0] == "water"


def test_aromatic_sdf_gets_kekule_orders(tmp_path):
    mol = Chem.AddHs(Chem.MolFromSmiles("c1cc[nH]c1"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    block = Chem.MolToMolBlock(mol, kekulize=False)
    assert "  4  0" in block
    (tmp_path / "m.mol").write_text(block)
    pyrrole = read_molecules(tmp_path / "m.mol")
    assert sorted(pyrrole.bond_orders.tolist()) == [1] * 8 + [2] * 2


@pytest.mark.parametrize("suffix", [".sdf", ".xyz", ".smi", ".parquet", ".sdf.gz", ".xyz.gz"])
def test_files_that_are_none(tmp_path, suffix):
    with pytest.raises(UserError, match="does not exist"):
        read_molecules(tmp_path / f"absent{suffix}")
    path = tmp_path / f"m{suffix}"
    path.write_bytes(np.random.default_rng(0).bytes(20000))
    if "gz" in suffix or suffix == ".parquet":
        with pytest.raises(UserError, match=r"read"):
            read_molecules(path)
    else:
        assert (read_molecules(path).table["status"] != "ok").all()
    if suffix in (".sdf", ".xyz", ".smi"):
        path.write_bytes(b"")
        assert len(read_molecules(path)) == 0


def test_truncated_gzip_and_parquet_are_refused(tmp_path, molecules):
    for suffix in (".sdf.gz", ".xyz.gz", ".parquet"):
        path = tmp_path / f"m{suffix}"
        write_molecules(path, molecules)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(UserError, match="Make or download it again"):
            read_molecules(path)


def test_unknown_suffix():
    with pytest.raises(UserError, match=r"\.parquet, or \.sdf"):
        read_molecules("molecules.pdb")


def test_bombs_end_with_a_sentence(tmp_path, monkeypatch):
    with gzip.open(tmp_path / "line.xyz.gz", "wb") as stream:
        stream.write(b"0" * (8 << 20))
    with pytest.raises(UserError, match="has a line of over"):
        read_molecules(tmp_path / "line.xyz.gz")
    with gzip.open(tmp_path / "lines.sdf.gz", "wb") as stream:
        stream.write(b"\n" * (4 << 20))
    with pytest.raises(UserError, match="record 1 has over"):
        read_molecules(tmp_path / "lines.sdf.gz")
    monkeypatch.setattr(textfile, "MAX_MOLECULES", 1000)
    (tmp_path / "many.xyz").write_text("0\n\n" * 2000)
    with pytest.raises(UserError, match="more than 1000 molecules"):
        read_molecules(tmp_path / "many.xyz")
    monkeypatch.setattr(textfile, "MAX_TEXT_BYTES", 1 << 20)
    (tmp_path / "long.smi").write_text("\n" * (2 << 20))
    with pytest.raises(UserError, match="of text"):
        read_molecules(tmp_path / "long.smi")


def test_parquet_bomb(tmp_path, monkeypatch):
    big = Molecule(np.ones(100000, np.uint8), np.zeros((100000, 3), np.float32))
    write_parquet(tmp_path / "m.parquet", from_list([big]))
    monkeypatch.setattr("latent3d.data.molecules.read.MAX_PARQUET_VALUES", 1000)
    with pytest.raises(UserError, match="values in one column"):
        read_molecules(tmp_path / "m.parquet")


def test_molecules_without_end_of_rings_do_not_hang(tmp_path):
    """A complete graph of 60 metal atoms keeps ring perception busy for a minute, of 200 for a day."""
    n = 60
    pairs = np.array([(i, j) for i in range(n) for j in range(i)], np.int16)
    iron = np.full(n, 26, np.uint8)
    positions = np.random.default_rng(0).random((n, 3)).astype(np.float32)
    knot = Molecule(iron, positions, pairs, np.ones(len(pairs), np.uint8), np.zeros(n, np.int8))
    write_molecules(tmp_path / "m.sdf", from_list([knot]))
    started = time.monotonic()
    assert read_molecules(tmp_path / "m.sdf").table["status"].tolist() == ["sanitise_failed"]
    assert usable((knot, None)).status == "sanitise_failed"
    assert time.monotonic() - started < 2


def test_sdf_refuses_text_it_cannot_hold(tmp_path):
    one = from_list([Molecule(np.array([2], np.uint8), np.zeros((1, 3), np.float32))], pd.DataFrame({"t": ["a\n\nb"]}))
    with pytest.raises(UserError, match="does not fit SDF"):
        write_molecules(tmp_path / "m.sdf", one)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", ["V2000", "V3000"])
def test_an_sdf_record_with_an_unknown_element_says_which(tmp_path, version):
    mol = Chem.AddHs(Chem.MolFromSmiles("CO"))
    AllChem.Compute2DCoords(mol)
    block = Chem.MolToMolBlock(mol) if version == "V2000" else Chem.MolToV3KMolBlock(mol)
    unknown = block.replace(" O ", " Qq" if version == "V2000" else " Qq ", 1)
    (tmp_path / "a.sdf").write_text(f"{unknown}$$$$\n{block}$$$$\n")
    molecules = read_molecules(tmp_path / "a.sdf")
    assert molecules.table["status"].tolist() == ["foreign_element", "ok"]
    assert "'Qq'" in molecules.table["problem"][0]
