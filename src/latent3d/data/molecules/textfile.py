"""What the text formats share: bounded reading of plain or gzipped text, and scalar columns as text.

Files are untrusted: the limits below end a compression bomb or an endless line with a plain sentence instead of with
all of the machine's memory. Every number is written with the fewest digits that read back to the same number.
"""

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from latent3d.base.errors import UserError
from latent3d.base.files import atomic_path
from latent3d.data.molecules.molecules import Molecule, Molecules, from_list

MAX_TEXT_BYTES = 4 << 30
MAX_LINE_BYTES = 1 << 20
MAX_MOLECULES = 2_000_000
MAX_ATOMS = 4096
"""Per record; the time that RDKit's ring perception takes grows with the square."""

UNITS_KEY = "latent3d_units"
"""Property of the first record that holds the units of all columns, as JSON."""

_TEXT_COLUMNS = ("id", "smiles", "split", "status", "problem", "comment")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_EMPTY = Molecule(np.zeros(0, np.uint8), np.zeros((0, 3), np.float32))


class BadRecord(Exception):
    """A record that cannot be read. `status` is the reason in the ledger's words, the message says it in full."""

    def __init__(self, status: str, problem: str) -> None:
        super().__init__(problem)
        self.status = status


@dataclass
class TextRecords:
    """Collects the records of one text file; bad ones stay as empty molecules with `status` and `problem`."""

    path: Path
    molecules: list[Molecule] = field(default_factory=list)
    rows: list[dict[str, str]] = field(default_factory=list)
    bad: dict[int, BadRecord] = field(default_factory=dict)

    def add(self, molecule: Molecule, properties: dict[str, str], bad: BadRecord | None = None) -> None:
        """Append one record; `bad` says why it is not a usable molecule."""
        if len(self.molecules) == MAX_MOLECULES:
            raise UserError(
                f"{self.path} holds more than {MAX_MOLECULES} molecules, too many for a text format. "
                "Split it, or convert it to Parquet."
            )
        if bad is not None:
            self.bad[len(self.molecules)] = bad
        self.molecules.append(molecule)
        self.rows.append(properties)

    def add_bad(self, bad: BadRecord, properties: dict[str, str] | None = None) -> None:
        """Append an unreadable record as an empty molecule."""
        self.add(_EMPTY, properties or {}, bad)

    def finish(self) -> Molecules:
        """All records; columns `status` and `problem` are there only if a record was bad."""
        units: dict[str, str] = {}
        for row in self.rows:
            units.update(_parse_units(row.pop(UNITS_KEY, None)))
        raw = pd.DataFrame(self.rows, index=range(len(self.rows)), dtype=object)
        typed = {name: raw[name].tolist() if name in _TEXT_COLUMNS else _typed(raw[name]) for name in raw}
        table = pd.DataFrame(typed, index=raw.index)
        if self.bad:
            status = table["status"].fillna("ok").tolist() if "status" in table else ["ok"] * len(table)
            problem: list[str | None] = [None] * len(table)
            for row, bad in self.bad.items():
                status[row], problem[row] = bad.status, f"record {row + 1}: {bad}"
            table = table.assign(status=status, problem=problem)
        return from_list(self.molecules, table, {k: v for k, v in units.items() if k in table})


def read_lines(path: Path) -> Iterator[str]:
    """Lines of a text file (gzipped if its name ends in .gz), without line ends.

    Raises:
        UserError: the file is missing, unreadable, truncated, or larger than the limits.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist. Check the path.")
    total = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as stream:
            while line := stream.readline(MAX_LINE_BYTES):
                total += len(line)
                if len(line) == MAX_LINE_BYTES:
                    raise UserError(f"{path} has a line of over {MAX_LINE_BYTES} bytes; it is no molecule file.")
                if total > MAX_TEXT_BYTES:
                    raise UserError(
                        f"{path} holds over {MAX_TEXT_BYTES >> 30} GiB of text. Split it, or convert it to Parquet."
                    )
                yield line.decode("utf-8", errors="replace").rstrip("\r\n")
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}). Make or download it again.") from error


def write_lines(path: Path | str, lines: Iterator[str]) -> None:
    """Write text atomically, gzipped if the name ends in .gz. Equal lines give equal bytes."""
    path = Path(path)
    with atomic_path(path) as temporary, open(temporary, "wb") as raw:
        # No file name and no time in the gzip header, so that bytes can be compared.
        packed = gzip.GzipFile("", "wb", 6, raw, mtime=0) if path.suffix == ".gz" else None
        with io.TextIOWrapper(packed or raw, encoding="utf-8", newline="\n") as text:
            text.writelines(f"{line}\n" for line in lines)
            text.flush()
            if packed:
                packed.close()


def coordinate_text(value: np.float32) -> str:
    """Fewest decimals that read back to the same float32 (`nan`, `inf` where not finite)."""
    return np.format_float_positional(value, unique=True, trim="0") if np.isfinite(value) else str(value)


def property_rows(molecules: Molecules) -> Iterator[dict[str, str]]:
    """Scalar columns of every molecule as text, missing values left out; units go with the first molecule."""
    columns = {name: molecules.table[name].tolist() for name in molecules.table.columns}
    for i in range(len(molecules)):
        row = {name: _text(values[i]) for name, values in columns.items() if not _missing(values[i])}
        if i == 0 and molecules.units:
            row[UNITS_KEY] = json.dumps(dict(molecules.units), sort_keys=True)
        yield row


def element_number(symbol: str, numbers: Mapping[str, int]) -> int:
    """Atomic number of a symbol or of a number as text. Raises BadRecord for an unknown element."""
    number = int(symbol) if symbol.isdecimal() and len(symbol) < 4 else numbers.get(symbol.capitalize(), 0)
    if not 0 < number <= max(numbers.values()):
        raise BadRecord("foreign_element", f"unknown element {symbol[:20]!r}")
    return number


def _missing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def _text(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _parse_units(text: str | None) -> dict[str, str]:
    try:
        units = json.loads(text) if text else {}
    except (json.JSONDecodeError, RecursionError):
        return {}
    return {str(k): str(v) for k, v in units.items()} if isinstance(units, dict) else {}


def _typed(column: pd.Series) -> pd.Series:
    """Integers, floats or booleans where every value of the column is one; text otherwise."""
    given = column.dropna()
    texts = given.tolist()
    if texts and all(text in ("True", "False") for text in texts) and len(given) == len(column):
        return column == "True"
    if texts and all(_INTEGER.fullmatch(text) for text in texts):
        # As pandas does for Parquet: integers with gaps are floats.
        return column.astype(np.int64) if len(given) == len(column) else column.astype(np.float64)
    try:
        return column.astype(np.float64)
    except (ValueError, TypeError):
        return pd.Series(column.tolist(), column.index)
