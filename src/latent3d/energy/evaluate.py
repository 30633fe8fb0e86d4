"""GFN2-xTB single points of generated samples: gfn2.parquet beside samples.parquet, one row per requested sample."""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from latent3d.energy.gfn2 import HEAVIEST, Gfn2
from latent3d.files import atomic_path, beside, hash_file
from latent3d.metrics.strict import USABLE_STATUSES
from latent3d.molecules.molecules import Molecule, Molecules
from latent3d.molecules.parquet import SCHEMA_VERSION, read_parquet
from latent3d.run import versions
from latent3d.workers import Workers

TIME_LIMIT = 60.0
"""Seconds per molecule: thousands of times what a molecule of twenty atoms needs."""
UNITS = {
    "energy": "hartree",
    "energy_per_atom": "hartree",
    "dipole": "debye",
    "homo": "eV",
    "lumo": "eV",
    "gap": "eV",
    "charge": "elementary charge",
    "unpaired_electrons": "electrons",
}
_SCHEMA = pa.schema(
    [
        ("sample_index", pa.int64()),
        ("status", pa.string()),
        *((name, pa.float64()) for name in ("energy", "energy_per_atom", "dipole", "homo", "lumo", "gap")),
        ("charge", pa.int32()),
        ("unpaired_electrons", pa.int32()),
    ]
)
_MILLISECONDS = 8


def evaluate_files(files: Iterable[Path], processes: int) -> None:
    """Write gfn2.parquet beside each samples.parquet. Equal samples give equal bytes.

    Raises:
        UserError: a file cannot be read; found before any work starts.
    """
    samples = {Path(file): read_parquet(file) for file in files}
    count = sum(map(len, samples.values()))
    print(
        f"energy: {count} single points in {len(samples)} files, about "
        f"{count * _MILLISECONDS / 1000 / processes:.0f} s on {processes} free cores",
        file=sys.stderr,
        flush=True,
    )
    with Workers(single_point, processes, TIME_LIMIT) as workers:
        for file, molecules in samples.items():
            rows = evaluate(molecules, workers, label=f"energy {file}")
            out = beside(file, "gfn2.parquet")
            write_energies(out, rows, samples_sha256=hash_file(file))
            print(f"energy: {out}: {dict(sorted(Counter(rows['status']).items()))}", file=sys.stderr, flush=True)


def evaluate(molecules: Molecules, workers: Workers, label: str = "") -> pd.DataFrame:
    """One row per sample, in order, with the columns of gfn2.parquet; `workers` run `single_point`."""
    charges = [int(molecule.formal_charges.sum()) if molecule.bonds is not None else 0 for molecule in molecules]
    status = [obstacle(molecule, charge) for molecule, charge in zip(molecules, charges, strict=True)]
    for index, own in enumerate(molecules.table.get("status", [])):
        # A sample that had failed keeps its own reason, whatever geometry it left.
        if own not in USABLE_STATUSES:
            status[index] = own
    computable = [index for index, reason in enumerate(status) if reason == "ok"]
    values: list[dict[str, float | None]] = [{} for _ in status]
    outcomes = workers.map([(molecules[index], charges[index]) for index in computable], label)
    for index, outcome in zip(computable, outcomes, strict=True):
        status[index] = outcome.status
        values[index] = outcome.value or {}
    table = molecules.table
    rows = pd.DataFrame(values, columns=[name for name in UNITS if name not in ("charge", "unpaired_electrons")])
    rows.insert(0, "sample_index", table["sample_index"] if "sample_index" in table else range(len(molecules)))
    rows.insert(1, "status", status)
    rows["charge"] = charges
    rows["unpaired_electrons"] = [_electrons(m, charge) % 2 for m, charge in zip(molecules, charges, strict=True)]
    return rows


def obstacle(molecule: Molecule, charge: int) -> str:
    """Why a molecule must not go to GFN2, or `ok`.

    An odd number of electrons is a failure of the sample, not something to compute: no dataset here has radicals, and
    their energies would enter the distribution of closed-shell molecules.
    """
    if len(molecule) == 0:
        return "decode_failed"
    if not np.isfinite(molecule.positions).all():
        return "nan_coordinates"
    if molecule.atomic_numbers.min() < 1 or molecule.atomic_numbers.max() > HEAVIEST:
        return "foreign_element"
    return "odd_electrons" if _electrons(molecule, charge) % 2 else "ok"


def _electrons(molecule: Molecule, charge: int) -> int:
    return int(molecule.atomic_numbers.sum()) - charge


def single_point(task: tuple[Molecule, int]) -> dict[str, float | None]:
    """Energy (hartree), dipole (debye) and frontier orbitals (eV) of a closed-shell (molecule, charge).

    Raises:
        Failed: see `Gfn2`.
    """
    molecule, charge = task
    positions = molecule.positions.astype(float)
    point = Gfn2(molecule.atomic_numbers, positions, charge).singlepoint(positions)
    return {
        "energy": point.energy,
        "energy_per_atom": point.energy / len(molecule),
        "dipole": point.dipole,
        "homo": point.homo,
        "lumo": point.lumo,
        "gap": point.gap,
    }


def write_energies(path: Path, rows: pd.DataFrame, samples_sha256: str) -> None:
    """Write gfn2.parquet atomically, with units and provenance in its metadata."""
    metadata = {
        "schema_version": SCHEMA_VERSION,
        "units": UNITS,
        "level_of_theory": "GFN2-xTB single point (tblite), closed shell",
        "samples_sha256": samples_sha256,
        "versions": versions(["tblite"]),
    }
    table = pa.Table.from_pandas(rows, schema=_SCHEMA, preserve_index=False)
    table = table.replace_schema_metadata({b"latent3d": json.dumps(metadata, sort_keys=True).encode()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
