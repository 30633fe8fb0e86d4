"""Molecules as (multi-frame, extended) XYZ, plain or .gz.

Columns of the table stand in the comment line as key=value pairs. Positions are written with the digits that float32
needs, so a round trip is exact; bonds and charges cannot be held and come back as unknown. A comment without pairs is
kept as the column `comment`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from latent3d.data.molecules.molecules import ELEMENTS, Molecule, Molecules
from latent3d.data.molecules.textfile import (
    MAX_ATOMS,
    BadRecord,
    TextRecords,
    coordinate_text,
    element_number,
    property_rows,
    read_lines,
    write_lines,
)

_LAYOUT = "species:S:1:pos:R:3"
_NUMBERS = {symbol: number for number, symbol in enumerate(ELEMENTS) if number} | {"D": 1, "T": 1}
_PAIR = re.compile(r'("(?:[^"\\]|\\.)*"|[^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?:\s+|$)')
_BARE = re.compile(r'[^\s="\\]+')


def write_xyz(path: Path | str, molecules: Molecules) -> None:
    """Write all molecules atomically. Molecules without atoms are frames of 0 atoms."""
    write_lines(path, _lines(molecules))


def read_xyz(path: Path | str) -> Molecules:
    """Read all frames. A bad frame stays as an empty molecule whose `status` and `problem` say why.

    Raises:
        UserError: the file is missing, truncated while gzipped, or too large.
    """
    path = Path(path)
    records = TextRecords(path)
    lines = read_lines(path)
    pending: str | None = None  # a line read too far: the count line of the next frame
    while (line := pending if pending is not None else next(lines, None)) is not None:
        pending = None
        if not line.strip():
            continue
        if not _is_count(line):
            records.add_bad(BadRecord("decode_failed", f"expected a number of atoms, found {line[:40]!r}"))
            pending = next((line for line in lines if _is_count(line)), None)
            continue
        pending = _read_frame(int(line), lines, records)
    return records.finish()


def _read_frame(count: int, lines: Iterator[str], records: TextRecords) -> str | None:
    """Read one frame after its count line; returns the next count line if the frame turns out to be cut short."""
    comment = next(lines, "")
    kept = count <= MAX_ATOMS
    properties = _parse_comment(comment)
    symbols: list[str] = []
    bad = None if kept else BadRecord("too_large", f"{count} atoms, more than {MAX_ATOMS}")
    if properties.pop("Properties", _LAYOUT).find(_LAYOUT) != 0:
        bad = BadRecord("decode_failed", f"its columns do not start with {_LAYOUT}")
    positions = np.zeros((count if kept else 0, 3), np.float64)
    for row in range(count):
        line = next(lines, None)
        if line is None or _is_count(line):
            records.add_bad(BadRecord("decode_failed", f"{count} atoms announced, {row} found"), properties)
            return line
        if bad is not None:
            continue
        fields = line.split()
        try:
            positions[row] = [float(value) for value in fields[1:4]]
            symbols.append(fields[0])
        except (ValueError, IndexError):
            bad = BadRecord("decode_failed", f"atom {row + 1} is not `element x y z`: {line[:40]!r}")
    try:
        if bad is not None:
            raise bad
        numbers = np.array([element_number(symbol, _NUMBERS) for symbol in symbols], np.uint8)
    except BadRecord as error:
        records.add_bad(error, properties)
        return None
    with np.errstate(over="ignore"):
        molecule = Molecule(numbers, positions.astype(np.float32))
    finite = np.isfinite(molecule.positions).all()
    records.add(molecule, properties, None if finite else BadRecord("nan_coordinates", "a coordinate is not finite"))
    return None


def _is_count(line: str) -> bool:
    text = line.strip()
    return text.isdecimal() and text.isascii() and len(text) < 10


def _parse_comment(comment: str) -> dict[str, str]:
    properties: dict[str, str] = {}
    text = comment.strip()
    place = 0
    while place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None:
            return {"comment": text}
        properties[_unquote(pair[1])] = _unquote(pair[2])
        place = pair.end()
    return properties


def _unquote(text: str) -> str:
    if not text.startswith('"'):
        return text
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text[1:-1])


def _quote(text: str) -> str:
    if _BARE.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _lines(molecules: Molecules) -> Iterator[str]:
    for molecule, properties in zip(molecules, property_rows(molecules), strict=True):
        yield str(len(molecule))
        yield " ".join([f"Properties={_LAYOUT}", *(f"{_quote(k)}={_quote(v)}" for k, v in properties.items())])
        for number, xyz in zip(molecule.atomic_numbers, molecule.positions, strict=True):
            yield " ".join([ELEMENTS[number], *map(coordinate_text, xyz)])
