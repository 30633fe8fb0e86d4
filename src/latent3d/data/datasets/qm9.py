"""QM9 (Ramakrishnan et al., Scientific Data 1, 140022, 2014): official archive or mirror, and the split of EDM.

B3LYP/6-31G(2df,p) geometries and properties of 133,885 molecules, of which 3,054 are left out by every generative
paper because their geometry relaxed to another molecule. The split is that of EDM (Hoogeboom et al. 2022), by gdb id.
"""

import os
import re
import sys
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from latent3d.base.errors import UserError
from latent3d.base.files import hash_file
from latent3d.base.progress import Progress
from latent3d.data.datasets.download import Source, download
from latent3d.data.molecules.bonds import with_smiles_bonds
from latent3d.data.molecules.molecules import ELEMENTS, Molecule, Molecules, from_list
from latent3d.data.molecules.parquet import write_parquet
from latent3d.data.molecules.read import read_molecules

MIRROR_VARIABLE = "LATENT3D_MIRROR"
_REMEDY = f"Or set {MIRROR_VARIABLE} to a folder that holds qm9/qm9_geometries.parquet and qm9/uncharacterized.txt."
ARCHIVE = Source(
    "https://ndownloader.figshare.com/files/3195389", 86_144_227, "ad1ebd51ee7f5b3a6e32e974e5d54012", _REMEDY
)
EXCLUSIONS = Source(
    "https://ndownloader.figshare.com/files/3195404", 486_752, "a361887bacb427b8a0ce7903d92a53b4", _REMEDY
)

MOLECULES = 133_885
EXCLUDED = 3_054
SPLIT = {"train": 100_000, "valid": 17_748, "test": 13_083}

UNITS = {
    "rotational_a": "GHz",
    "rotational_b": "GHz",
    "rotational_c": "GHz",
    "mu": "debye",
    "alpha": "bohr^3",
    "homo": "hartree",
    "lumo": "hartree",
    "gap": "hartree",
    "r2": "bohr^2",
    "zpve": "hartree",
    "u0": "hartree",
    "u298": "hartree",
    "h298": "hartree",
    "g298": "hartree",
    "cv": "cal/(mol K)",
}
"""Unit of every property, in the order of the archive's property line."""

_NUMBERS = {symbol: ELEMENTS.index(symbol) for symbol in ("H", "C", "N", "O", "F")}
_MEMBER = re.compile(r"(?:.*/)?dsgdb9nsd_(\d{6})\.xyz")
_MAX_MEMBER_BYTES = 1 << 16
_MAX_ATOMS = 29


def make_qm9(out: Path | str, cache: Path | str = "downloads", processes: int | None = None) -> None:
    """Write the standard molecules of QM9 with bonds, properties and EDM split to `out`.

    From the mirror folder that LATENT3D_MIRROR names, else from the official archive, kept in `cache`. Bonds are
    looked for by `processes` processes (default: every core).

    Raises:
        UserError: the mirror lacks a file, the download fails, or a file is not the published one.
    """
    mirror = os.environ.get(MIRROR_VARIABLE)
    molecules, source = read_mirror(Path(mirror)) if mirror else _read_official(Path(cache))
    print(
        f"QM9: bonds of {len(molecules)} molecules from their SMILES, about {len(molecules) / 1000:.0f} s on one core",
        file=sys.stderr,
    )
    if not molecules.bonds_known.all():
        molecules = with_smiles_bonds(molecules, processes)
    unknown = int((~molecules.bonds_known).sum())
    print(f"QM9: {len(molecules)} molecules, {unknown} whose geometry does not fit their SMILES", file=sys.stderr)
    write_parquet(out, molecules, {"dataset": "qm9", "without_bonds": unknown, **source})


def read_mirror(mirror: Path) -> tuple[Molecules, dict]:
    """Molecules of a mirror folder and where they come from. Such a file may lack molecules; the split is exact.

    Raises:
        UserError: the folder or a file of it is missing, unreadable, or its split is not EDM's.
    """
    path, exclusions = mirror / "qm9" / "qm9_geometries.parquet", mirror / "qm9" / "uncharacterized.txt"
    for file in (path, exclusions):
        if not file.is_file():
            raise UserError(
                f"{MIRROR_VARIABLE} is {str(mirror)!r}, but there is no {file}. Correct the variable, or unset it to "
                "download QM9 from its official archive."
            )
    molecules = read_molecules(path)
    table = molecules.table
    for column in ("gdb_id", "smiles"):
        if column not in table:
            raise UserError(f"{path} has no column {column!r}, so it is not a mirror of QM9.")
    gdb_ids = table["gdb_id"].to_numpy()
    split = edm_split(read_exclusions(exclusions)).reindex(gdb_ids)
    if split.isna().any() or ("split" in table and split.tolist() != table["split"].tolist()):
        raise UserError(f"{path}: its column 'split' is not the split of EDM. Make or copy the mirror again.")
    columns = {name: table[name].to_numpy(np.float64) for name in UNITS if name in table}
    new = pd.DataFrame({"id": _ids(gdb_ids), "smiles": table["smiles"].tolist(), "split": split.tolist(), **columns})
    # The mirror's table was assembled from sources that hold no molecule with fluorine.
    fluorine_free = not (molecules.atomic_numbers == 9).any()
    molecules = replace(molecules, table=new, units={name: UNITS[name] for name in columns})
    return molecules, {"source": "mirror", "fluorine_free": bool(fluorine_free), "sha256": hash_file(path)}


def _read_official(cache: Path) -> tuple[Molecules, dict]:
    exclusions = download(EXCLUSIONS, cache / "qm9_uncharacterized.txt")
    archive = download(ARCHIVE, cache / "dsgdb9nsd.xyz.tar.bz2")
    split = edm_split(read_exclusions(exclusions))
    with open(archive, "rb") as stream:
        try:
            molecules = read_archive(stream, split)
        except UserError as error:
            raise UserError(f"{archive}: {error} Delete it and run the command again. {_REMEDY}") from error
    if len(molecules) != len(split):
        raise UserError(
            f"{archive} holds {len(molecules)} of the {len(split)} molecules. Delete it and run this again."
        )
    return molecules, {"source": ARCHIVE.url, "fluorine_free": False, "md5": ARCHIVE.md5}


def read_exclusions(path: Path) -> np.ndarray:
    """Gdb ids of the 3,054 uncharacterized molecules.

    Raises:
        UserError: the file is not the official list.
    """
    rows = (line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    ids = np.array([int(row[0]) for row in rows if len(row) >= 4 and row[0].isdecimal()], np.int64)
    if len(ids) != EXCLUDED or len(np.unique(ids)) != EXCLUDED or ids.min() < 1 or ids.max() > MOLECULES:
        raise UserError(
            f"{path} is not QM9's list of {EXCLUDED} uncharacterized molecules. Delete it and fetch it again."
        )
    return ids


def edm_split(excluded: np.ndarray) -> pd.Series:
    """`train`, `valid` or `test` by gdb id (the index), for the 130,831 molecules that are not excluded.

    EDM permutes the remaining molecules, in the order of their ids, with NumPy's seed 0 (its legacy generator).
    """
    kept = np.setdiff1d(np.arange(1, MOLECULES + 1), excluded)
    names = np.empty(len(kept), dtype=object)
    names[np.random.RandomState(0).permutation(len(kept))] = np.repeat(list(SPLIT), list(SPLIT.values()))
    return pd.Series(names, index=kept)


def read_archive(stream: BinaryIO, split: pd.Series) -> Molecules:
    """The molecules of the official tar.bz2 whose gdb id is in the index of `split`, by id, bonds unknown.

    Reads the archive as a stream: nothing is unpacked to disk.

    Raises:
        UserError: the archive is damaged, or a record is not in QM9's format.
    """
    records: dict[int, tuple[Molecule, str, list[float]]] = {}
    wanted = set(split.index.tolist())
    progress = Progress("QM9 archive", len(split), "molecules")
    for gdb_id, text in _members(stream):
        if gdb_id in wanted:
            records[gdb_id] = parse_record(text, gdb_id)
        progress.show(len(records))
    ids = sorted(records)
    properties = np.array([records[i][2] for i in ids]).reshape(len(ids), len(UNITS))
    table = pd.DataFrame(
        {"id": _ids(ids), "smiles": [records[i][1] for i in ids], "split": split.reindex(ids).tolist()}
    )
    table = table.assign(**dict(zip(UNITS, properties.T, strict=True)))
    return from_list([records[i][0] for i in ids], table, UNITS)


def parse_record(text: str, gdb_id: int) -> tuple[Molecule, str, list[float]]:
    """Geometry, SMILES and the 15 properties of one `dsgdb9nsd_xxxxxx.xyz`.

    Lines: number of atoms; `gdb id A B C mu alpha homo lumo gap r2 zpve U0 U H G Cv`; per atom element, x, y, z
    (angstrom) and Mulliken charge; frequencies; SMILES of GDB-17 and of the B3LYP geometry; two InChI. The SMILES
    returned is the first one: both describe the same molecule, and the second has stereo marks.

    Raises:
        UserError: the text is something else.
    """
    try:
        lines = text.splitlines()
        count = int(lines[0])
        tag, number, *values = lines[1].split()
        if tag != "gdb" or int(number) != gdb_id or len(values) != len(UNITS) or not 0 < count <= _MAX_ATOMS:
            raise ValueError("the head does not belong to this molecule")
        rows = [line.split() for line in lines[2 : 2 + count]]
        if any(len(row) != 5 for row in rows):
            raise ValueError("an atom does not have five columns")
        numbers = np.array([_NUMBERS[row[0]] for row in rows], np.uint8)
        positions = np.array([[_number(value) for value in row[1:4]] for row in rows], np.float32)
        smiles = lines[3 + count].split()[0]
        properties = [_number(value) for value in values]
        if len(numbers) != count or not (np.isfinite(positions).all() and np.isfinite(properties).all()):
            raise ValueError("a number is not finite, or an atom is missing")
    except (ValueError, IndexError, KeyError) as error:
        raise UserError(f"The record of gdb_{gdb_id:06d} is not in QM9's format ({error}).") from error
    return Molecule(numbers, positions), smiles, properties


def _number(text: str) -> float:
    """The archive was written by Mathematica: 6.1*^-6 is 6.1e-6."""
    return float(text.replace("*^", "e"))


def _members(stream: BinaryIO) -> Iterator[tuple[int, str]]:
    try:
        with tarfile.open(fileobj=stream, mode="r|bz2") as archive:
            while (member := archive.next()) is not None:
                archive.members = []  # else tarfile keeps 1 kB for each of the 133,885
                name = _MEMBER.fullmatch(member.name)
                if name is None or not member.isfile():
                    continue
                if member.size > _MAX_MEMBER_BYTES:
                    raise UserError(f"{member.name} has {member.size} bytes, too many for a molecule of QM9.")
                yield int(name[1]), archive.extractfile(member).read().decode("utf-8", errors="replace")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"The archive is damaged ({error}).") from error


def _ids(gdb_ids: Iterable[int]) -> list[str]:
    return [f"gdb_{gdb_id:06d}" for gdb_id in gdb_ids]
