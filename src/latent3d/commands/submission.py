"""A file of molecules that another program made, as a set of samples."""

import sys
from pathlib import Path

from latent3d.base.errors import UserError
from latent3d.base.files import hash_file
from latent3d.data.molecules.parquet import write_parquet
from latent3d.data.molecules.read import doubts, has_coordinates, read_molecules


def submit(file: Path, seed: int, out: Path) -> None:
    """Write the molecules of any file as the set of samples of one sampling seed; unreadable records are failures.

    Raises:
        UserError: the file is missing or unreadable, holds no molecules, or has no coordinates.
    """
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
    write_parquet(out, samples, {"submission": file.name, "submission_sha256": hash_file(file)})
    failed = int((samples.table["status"] != "ok").sum())
    print(f"submission: {file}: {len(samples)} molecules, {failed} of them unreadable", file=sys.stderr)
