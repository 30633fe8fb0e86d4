"""Molecules as Parquet: `data.parquet` for the kind `Molecules`.

One row per molecule: `atomic_numbers` list<uint8>, `positions` list<float32> (flat xyz, angstrom), `bonds` list<int16>
(flat i, j pairs), `bond_orders` list<uint8>, `formal_charges` list<int8>, then any scalar columns.
"""

from collections.abc import Iterator
from pathlib import Path

from latent3d.data import parquet
from latent3d.data.molecules.molecules import Molecules
from latent3d.data.parquet import read_metadata, write_parquet

__all__ = ["iterate_parquet", "read_foreign_parquet", "read_metadata", "read_parquet", "write_parquet"]


def read_parquet(path: Path | str) -> Molecules:
    """All molecules of a file; UserError if it is missing, truncated, or breaks the contract."""
    return parquet.read_parquet(path, Molecules)


def read_foreign_parquet(path: Path | str) -> Molecules:
    """As `read_parquet`, of a file that others made: a row that makes no sense stays as an empty molecule."""
    return parquet.read_foreign_parquet(path, Molecules)


def iterate_parquet(
    path: Path | str, batch_size: int = 65536, problems: dict[int, str] | None = None
) -> Iterator[Molecules]:
    """Molecules in batches; see `data.parquet.iterate_parquet`."""
    return parquet.iterate_parquet(path, Molecules, batch_size, problems)
