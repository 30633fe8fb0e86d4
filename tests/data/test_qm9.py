import io
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from latent3d.base.errors import UserError
from latent3d.base.files import hash_file
from latent3d.data.datasets import qm9
from latent3d.data.molecules.bonds import with_smiles_bonds
from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.parquet import read_metadata, read_parquet, write_parquet

# The first molecules in the official layout; numbers with Mathematica exponents and negative zeros.
METHANE = """5
gdb 1\t157.7118\t157.70997\t157.70699\t0.\t13.21\t-0.3877\t0.1171\t0.5048\t35.3641\t0.044749\t\
-40.47893\t-40.476062\t-40.475117\t-40.498597\t6.469\t
C\t-0.0126981359\t 1.0858041578\t 0.0080009958\t-0.535689
H\t 0.002150416\t-0.0060313176\t 0.0019761204\t 0.133921
H\t 1.0117308433\t 1.4637511618\t 2.7657*^-4\t 0.133922
H\t-0.540815069\t 1.4475266138\t-0.8766437152\t 0.133923
H\t-0.5238136345\t 1.4379326443\t 0.9063972942\t 0.133923
1341.307\t1341.3284\t1341.365\t1562.6731\t1562.7453\t3038.3205\t3151.6034\t3151.6788\t3151.7078
C\tC\t
InChI=1S/CH4/h1H4\tInChI=1S/CH4/h1H4
"""
WATER = """3
gdb 3\t799.58812\t437.90386\t282.94545\t1.8511\t6.31\t-0.2928\t0.0687\t0.3615\t19.0002\t0.021375\t\
-76.404702\t-76.401867\t-76.400922\t-76.422349\t6.002\t
O\t-0.0343604951\t 0.9775395708\t 0.0076015923\t-0.589706
H\t 0.0647664923\t 0.0205721989\t 0.0015346341\t 0.294853
H\t 0.8717903737\t 1.3007924048\t-0.0000*^-6\t 0.294853
1671.4222\t3803.6305\t3907.698
O\tO\t
InChI=1S/H2O/h1H2\tInChI=1S/H2O/h1H2
"""
ACETYLENE = """4
gdb 4\t0.\t35.6100361\t35.6100361\t-0.\t16.28\t-0.2845\t0.0506\t0.3351\t59.5248\t0.026841\t\
-77.308427\t-77.305527\t-77.304583\t-77.327429\t8.574\t
C\t 0.5995394918\t 0.\t 1.\t-0.207019
C\t-0.5995394918\t 0.\t 1.\t-0.207019
H\t-1.6616385861\t-0.0\t 1.\t 0.207019
H\t 1.6616385861\t-5.*^-8\t 1.\t 0.207019
549.7648\t549.7648\t795.2713\t795.2713\t2078.1639\t3412.7192\t3517.3462
C#C\tC#C\t
InChI=1S/C2H2/c1-2/h1-2H\tInChI=1S/C2H2/c1-2/h1-2H
"""
RECORDS = {3: WATER, 1: METHANE, 4: ACETYLENE}  # not in order


def archive(records, newline="\n"):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:bz2") as tar:
        for gdb_id, text in records.items():
            data = text.replace("\n", newline).encode()
            member = tarfile.TarInfo(f"dsgdb9nsd_{gdb_id:06d}.xyz")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        folder = tarfile.TarInfo("../dsgdb9nsd_000009.xyz")
        folder.type = tarfile.SYMTYPE
        folder.linkname = "/etc/passwd"
        tar.addfile(folder)
    packed.seek(0)
    return packed


def split(ids=(1, 3, 4)):
    return pd.Series(["train", "valid", "test"][: len(ids)], index=list(ids))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_archive_in_the_official_format(newline):
    molecules = qm9.read_archive(archive(RECORDS, newline), split())
    table = molecules.table
    assert table["id"].tolist() == ["gdb_000001", "gdb_000003", "gdb_000004"]
    assert table["smiles"].tolist() == ["C", "O", "C#C"]
    assert table["split"].tolist() == ["train", "valid", "test"]
    assert molecules.atom_counts.tolist() == [5, 3, 4]
    assert molecules[0].positions[2, 2] == np.float32(2.7657e-4)
    assert molecules[1].positions[2, 2] == 0 and np.signbit(molecules[1].positions[2, 2])
    assert molecules[2].positions[3, 1] == np.float32(-5e-8)
    assert np.signbit(molecules[2].positions[2, 1])
    assert table.loc[0, ["rotational_a", "mu", "alpha", "gap", "u0", "cv"]].tolist() == [
        157.7118,
        0.0,
        13.21,
        0.5048,
        -40.47893,
        6.469,
    ]
    assert table.loc[1, ["r2", "zpve", "u298", "h298", "g298"]].tolist() == [
        19.0002,
        0.021375,
        -76.401867,
        -76.400922,
        -76.422349,
    ]
    assert len(molecules.units) == 15 and molecules.units["cv"] == "cal/(mol K)"
    bonded = with_smiles_bonds(molecules)
    assert bonded.bonds_known.all()
    assert np.diff(bonded.bond_offsets).tolist() == [4, 2, 3]
    assert sorted(bonded[2].bond_orders.tolist()) == [1, 1, 3]


def test_molecules_outside_the_split_are_left_out():
    assert qm9.read_archive(archive(RECORDS), split((1, 4))).table["id"].tolist() == ["gdb_000001", "gdb_000004"]


@pytest.mark.parametrize(
    "text",
    [
        METHANE.replace("gdb 1", "gdb 2"),
        METHANE.replace("5\n", "6\n", 1),
        METHANE.replace("\t6.469", ""),
        METHANE.replace("C\t-0.01", "Cl\t-0.01"),
        METHANE.replace("1.0858041578", "nan"),
        METHANE[:200],
        "",
    ],
)
def test_a_spoilt_record_is_named(text):
    with pytest.raises(UserError, match="gdb_000001 is not in QM9's format"):
        qm9.read_archive(archive({1: text}), split((1,)))


def test_damaged_archives_are_refused():
    whole = archive({i: METHANE.replace("gdb 1\t", f"gdb {i}\t") for i in range(1, 300)}).getvalue()
    for data in (whole[: len(whole) // 2], whole[:-20], b"", b"nothing of the kind" * 100):
        with pytest.raises(UserError, match="damaged"):
            qm9.read_archive(io.BytesIO(data), split())


def exclusion_file(path, ids):
    head = "=====\n# Index  GDB17 SMILES\n=====\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + "".join(f"{i:8d}  CC  CC  CC  1.5\n" for i in ids))
    return path


def test_split_counts_and_determinism(tmp_path):
    excluded = qm9.read_exclusions(exclusion_file(tmp_path / "u.txt", range(100, 100 + 3054)))
    split = qm9.edm_split(excluded)
    assert split.value_counts().to_dict() == {"train": 100_000, "valid": 17_748, "test": 13_083}
    assert len(split) == 133_885 - 3_054 == 130_831
    assert not split.index.isin(range(100, 3154)).any()
    # EDM: permutation p of 130,831 places; places p[:100000] train, the next 17,748 valid, the rest test.
    permutation = np.random.RandomState(0).permutation(130_831)
    assert (split.iloc[permutation[:100_000]] == "train").all()
    assert (split.iloc[permutation[117_748:]] == "test").all()
    with pytest.raises(UserError, match="3054 uncharacterized"):
        qm9.read_exclusions(exclusion_file(tmp_path / "v.txt", range(5)))


def test_mirror_folder_that_lacks_files(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENT3D_MIRROR", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"LATENT3D_MIRROR is .* but there is no .*qm9_geometries"):
        qm9.make_qm9(tmp_path / "qm9.parquet")
    assert not (tmp_path / "qm9.parquet").exists()


def test_command_line_names_the_missing_mirror(tmp_path):
    command = [sys.executable, "-m", "latent3d.cli", "download", "qm9", "--out", str(tmp_path / "qm9.parquet")]
    environment = {**os.environ, "LATENT3D_MIRROR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "LATENT3D_MIRROR" in done.stderr


def test_official_route_end_to_end_on_a_small_archive(tmp_path, monkeypatch):
    """Cached archive and list of the right checksums, all the way to the Parquet file; then a damaged cache."""
    monkeypatch.delenv("LATENT3D_MIRROR", raising=False)
    exclusions = exclusion_file(tmp_path / "qm9_uncharacterized.txt", range(100, 100 + 3054))
    packed = tmp_path / "dsgdb9nsd.xyz.tar.bz2"
    packed.write_bytes(archive(RECORDS).getvalue())
    for name, path in (("EXCLUSIONS", exclusions), ("ARCHIVE", packed)):
        source = replace(
            getattr(qm9, name), url="http://127.0.0.1:9/", size=path.stat().st_size, md5=hash_file(path, "md5")
        )
        monkeypatch.setattr(qm9, name, source)
    monkeypatch.setattr(qm9, "edm_split", lambda excluded: split())
    qm9.make_qm9(tmp_path / "out.parquet", tmp_path)
    read = read_parquet(tmp_path / "out.parquet")
    assert read.bonds_known.all() and len(read.units) == 15 and read.table["cv"].tolist() == [6.469, 6.002, 8.574]
    monkeypatch.setattr(qm9, "edm_split", lambda excluded: split((1, 3, 5)))
    with pytest.raises(UserError, match="holds 2 of the 3 molecules"):
        qm9.make_qm9(tmp_path / "out.parquet", tmp_path)


def test_small_mirror(tmp_path, monkeypatch):
    exclusion_file(tmp_path / "qm9" / "uncharacterized.txt", range(100, 100 + 3054))
    official = qm9.read_archive(archive(RECORDS), split())
    edm = qm9.edm_split(np.arange(100, 100 + 3054)).reindex([1, 3, 4]).tolist()
    table = pd.DataFrame({"gdb_id": [1, 3, 4], "split": edm, "smiles": ["C", "O", "C#C"], "mu": [0.0, np.nan, 0.0]})
    mirror = from_list([Molecule(m.atomic_numbers, m.positions) for m in official], table)
    write_parquet(tmp_path / "qm9" / "qm9_geometries.parquet", mirror)
    monkeypatch.setenv("LATENT3D_MIRROR", str(tmp_path))
    qm9.make_qm9(tmp_path / "out.parquet")
    read = read_parquet(tmp_path / "out.parquet")
    assert read.bonds_known.all() and read.table["split"].tolist() == edm
    assert read.table["mu"].isna().tolist() == [False, True, False] and read.units == {"mu": "debye"}
    metadata = read_metadata(tmp_path / "out.parquet")
    assert metadata["source"] == "mirror" and metadata["fluorine_free"] is True
    wrong = mirror.with_columns(split=["train" if name != "train" else "test" for name in edm])
    write_parquet(tmp_path / "qm9" / "qm9_geometries.parquet", wrong)
    with pytest.raises(UserError, match="not the split of EDM"):
        qm9.make_qm9(tmp_path / "out.parquet")


@pytest.mark.skipif("LATENT3D_MIRROR" not in os.environ, reason="needs the data mirror")
def test_real_mirror_has_the_split_of_edm():
    molecules, source = qm9.read_mirror(Path(os.environ["LATENT3D_MIRROR"]))  # refuses any other split
    assert source["fluorine_free"] and len(molecules) > 120_000
    sample = molecules.take(np.random.default_rng(0).permutation(len(molecules))[:1000])
    assert with_smiles_bonds(sample, 1).bonds_known.mean() > 0.995
