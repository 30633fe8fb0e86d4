"""Molecule files of any format, by their suffix."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from latent3d.base.errors import UserError
from latent3d.data.molecules.molecules import Molecules
from latent3d.data.molecules.parquet import read_foreign_parquet, write_parquet
from latent3d.data.molecules.sdf import read_sdf, write_sdf
from latent3d.data.molecules.smiles import read_smiles, write_smiles
from latent3d.data.molecules.xyz import read_xyz, write_xyz

MAX_PARQUET_VALUES = 1_000_000_000
"""In one column of a file of unknown origin: a few kilobytes of Parquet can hold any number of equal values."""

_FORMATS = {
    ".parquet": (read_foreign_parquet, write_parquet),
    ".sdf": (read_sdf, write_sdf),
    ".sd": (read_sdf, write_sdf),
    ".mol": (read_sdf, write_sdf),
    ".xyz": (read_xyz, write_xyz),
    ".extxyz": (read_xyz, write_xyz),
    ".smi": (read_smiles, write_smiles),
    ".smiles": (read_smiles, write_smiles),
}


def read_molecules(path: Path | str) -> Molecules:
    """Read a file of molecules: .parquet, or .sdf, .mol, .xyz, .smi, each also .gz.

    Records that are unreadable or make no sense stay as empty molecules, columns `status` and `problem` say why.

    Raises:
        UserError: the suffix is none of these; the file is missing, truncated, unreadable or too large.
    """
    path = Path(path)
    suffix = check_format(path)
    if suffix == ".parquet" and path.is_file():
        _check_parquet_size(path)
    return _FORMATS[suffix][0](path)


def doubts(path: Path | str, molecules: Molecules) -> list[str]:
    """Sentences on what makes molecules fail although every record can be read: no hydrogens, no third dimension."""
    said = []
    numbers, positions = molecules.atomic_numbers, molecules.positions
    if (numbers == 6).any() and not (numbers == 1).any():
        said.append(
            f"{path} has no hydrogens. Each has to be an atom of its own, or molecules count as radicals: add them "
            "with the program that made the file (RDKit: Chem.AddHs(mol, addCoords=True))."
        )
    if has_coordinates(path) and (molecules.atom_counts > 4).any() and (positions[:, 2] == 0).all():
        said.append(f"{path} is flat: all z are 0. What needs the geometry judges a drawing; give 3D coordinates.")
    return said


def has_coordinates(path: Path | str) -> bool:
    """False for SMILES files, whose molecules are graphs alone."""
    return check_format(Path(path)) not in (".smi", ".smiles")


def write_molecules(path: Path | str, molecules: Molecules) -> None:
    """Write molecules in the format of the suffix, atomically. What the format cannot hold is left out.

    Raises:
        UserError: the suffix is unknown, the disk is full, or a column does not fit the format.
    """
    _FORMATS[check_format(Path(path))][1](path, molecules)


def check_format(path: Path) -> str:
    """The suffix that names the format of a molecule file; UserError if there is none."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] == ".gz"
    suffix = (suffixes[:-1] if packed else suffixes)[-1:]
    if not suffix or suffix[0] not in _FORMATS or (packed and suffix[0] == ".parquet"):
        raise UserError(
            f"{path}: molecules are read from and written to .parquet, or .sdf, .mol, .xyz and .smi (also .gz); "
            "rename or convert the file."
        )
    return suffix[0]


def _check_parquet_size(path: Path) -> None:
    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is not a readable Parquet file ({reason}). Make or download it again.") from error
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    for column in range(metadata.num_columns):
        values = sum(group.column(column).num_values for group in groups)
        if values > MAX_PARQUET_VALUES:
            raise UserError(f"{path} holds {values} values in one column, more than {MAX_PARQUET_VALUES}. Split it.")
