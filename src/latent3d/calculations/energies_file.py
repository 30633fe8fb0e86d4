"""energies.parquet: one row per requested sample, its columns and units."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from latent3d.base.errors import UserError
from latent3d.base.files import atomic_path
from latent3d.data.parquet import SCHEMA_VERSION

_ORBITALS = {"dipole": "debye", "homo": "eV", "lumo": "eV", "gap": "eV"}
UNITS = {
    "charge": "elementary charge",
    "unpaired_electrons": "electrons",
    "energy": "hartree",
    "energy_per_atom": "hartree",
    **_ORBITALS,
    "energy_relaxed": "hartree",
    "relaxation_energy": "kcal/mol",
    "relaxation_energy_per_atom": "kcal/mol",
    "rmsd_heavy": "angstrom",
    "rmsd_all": "angstrom",
    "bond_change": "angstrom",
    "angle_change": "degree",
    "torsion_change": "degree",
    **{f"{name}_relaxed": unit for name, unit in _ORBITALS.items()},
    "strain": "kcal/mol",
    "md_mmff_failure_time": "ps",
    "md_gfn2_failure_time": "ps",
}
_KINDS = {
    pa.int64(): ("sample_index", "seed"),
    pa.int32(): ("atoms", "heavy_atoms", "charge", "unpaired_electrons", "steps"),
    pa.string(): (
        "status",
        "relax_status",
        "strain_status",
        *(f"md_{field}_{what}" for field in ("mmff", "gfn2") for what in ("status", "failure")),
    ),
    pa.bool_(): ("graph_survived", "md_mmff_survived", "md_gfn2_survived"),
}
_TYPES = {name: kind for kind, names in _KINDS.items() for name in names}


def write_energies(path: Path, columns: Mapping[str, Sequence[Any]], provenance: Mapping[str, Any]) -> None:
    """Write energies.parquet atomically: missing is null, units and provenance are in the metadata.

    Equal columns give equal bytes.
    """
    schema = pa.schema([(name, _TYPES.get(name, pa.float64())) for name in columns])
    metadata = {"schema_version": SCHEMA_VERSION, "units": UNITS, **provenance}
    _write(path, pa.Table.from_pydict(dict(columns), schema), metadata)


def read_energies(path: Path) -> pd.DataFrame:
    """The table of energies.parquet.

    Raises:
        UserError: the file is missing, unreadable, or no table of energies.
    """
    table = _read(path).to_pandas()
    missing = [name for name in ("sample_index", "heavy_atoms", "status", "energy_per_atom") if name not in table]
    if missing:
        raise UserError(f"{path} has no column {missing[0]!r}, so it holds no energies. Make it with latent3d energy.")
    return table


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, partitioning=None)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist. Make it with latent3d energy.") from error
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is not a readable Parquet file ({reason}). Delete it and make it again.") from error


def _write(path: Path, table: pa.Table, metadata: Mapping[str, Any]) -> None:
    table = table.replace_schema_metadata({b"latent3d": json.dumps(metadata, sort_keys=True).encode()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
