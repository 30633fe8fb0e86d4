"""Files of molecules that another program made, as samples of a row: one file per sampling seed."""

import sys
from pathlib import Path

from latent3d.base.errors import UserError
from latent3d.base.files import hash_file
from latent3d.data.molecules.molecules import Molecules
from latent3d.data.molecules.parquet import write_parquet
from latent3d.data.molecules.read import doubts, has_coordinates, read_molecules
from latent3d.data.records import concatenate


def submit(files: list[Path], out: Path) -> None:
    """Write the molecules of files as samples, of each file under a sampling seed; unreadable records are failures.

    Raises:
        UserError: a file is missing or unreadable, holds no molecules, or has no coordinates.
    """
    samples = concatenate(_submitted(file, seed) for seed, file in enumerate(files))
    origin = {"submission": [file.name for file in files], "submission_sha256": [hash_file(file) for file in files]}
    write_parquet(out, samples, origin)


def _submitted(file: Path, seed: int) -> Molecules:
    if not has_coordinates(file):
        raise UserError(f"{file} has no coordinates; a submission needs them. latent3d score judges its graphs.")
    molecules = read_molecules(file)
    if not len(molecules):
        raise UserError(f"{file} holds no molecules.")
    for doubt in doubts(file, molecules):
        print(f"submission: {doubt}", file=sys.stderr)
    table = molecules.table
    status = table["status"].fillna("ok") if "status" in table else "ok"
    samples = molecules.with_columns(sample_index=range(len(molecules)), seed=seed, status=status)
    failed = int((samples.table["status"] != "ok").sum())
    print(f"submission: {file}: {len(molecules)} molecules, {failed} of them unreadable", file=sys.stderr)
    return samples
