"""Molecules as SDF, plain or .gz: reads V2000 and V3000, writes V3000.

V3000 because its coordinates have as many digits as needed (V2000 has four decimals): a round trip is exact to
float32. Bonds come back with Kekule orders. A record of several atoms and no bonds is taken to have unknown bonds,
unless its property `latent3d_bonds` says `known`. Hydrogens that the file leaves out are not added.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from rdkit import Chem, rdBase

from latent3d.base.errors import UserError
from latent3d.data.molecules.molecules import ELEMENTS, Molecule, Molecules
from latent3d.data.molecules.rdkit import from_rdkit, is_tangled
from latent3d.data.molecules.textfile import (
    MAX_ATOMS,
    BadRecord,
    TextRecords,
    coordinate_text,
    property_rows,
    read_lines,
    write_lines,
)

MAX_RECORD_LINES = 300_000
_BONDS_KEY = "latent3d_bonds"


def write_sdf(path: Path | str, molecules: Molecules) -> None:
    """Write all molecules atomically; `id` is the title line, all other columns are data items.

    Raises:
        UserError: a column's name or text cannot stand in an SDF data item.
    """
    write_lines(path, _lines(Path(path), molecules))


def read_sdf(path: Path | str) -> Molecules:
    """Read all records. A bad one stays as an empty molecule whose `status` and `problem` say why.

    If only its bonds make no sense, its atoms and positions are kept, with unknown bonds.

    Raises:
        UserError: the file is missing, truncated while gzipped, or too large.
    """
    path = Path(path)
    records = TextRecords(path)
    record: list[str] = []
    for line in read_lines(path):
        if line.startswith("$$$$"):
            _read_record(record, records)
            record = []
        else:
            record.append(line)
            if len(record) > MAX_RECORD_LINES:
                raise UserError(f"{path}: record {len(records.rows) + 1} has over {MAX_RECORD_LINES} lines.")
    if any(line.strip() for line in record):
        _read_record(record, records)
    return records.finish()


def _read_record(lines: list[str], records: TextRecords) -> None:
    end = next((i for i, line in enumerate(lines) if line.startswith("M  END")), None)
    for line in lines[end + 1 :] if end is not None else []:
        if line.startswith("M  END"):
            records.add_bad(BadRecord("decode_failed", "no line $$$$ parts it from the record before"))
    properties = _parse_data(lines[end + 1 :]) if end is not None else {}
    known = properties.pop(_BONDS_KEY, None)
    if lines and lines[0].strip():
        properties.setdefault("id", lines[0].strip())
    if end is None:
        records.add_bad(BadRecord("decode_failed", "the record has no `M  END` line; it is cut short"), properties)
        return
    try:
        _check_counts(lines[: end + 1])
        mol = _parse_block("\n".join(lines[: end + 1]) + "\n")
        molecule, bad = _molecule(mol, known)
    except BadRecord as error:
        records.add_bad(error, properties)
        return
    records.add(molecule, properties, bad)


def _check_counts(lines: list[str]) -> None:
    """Look at the numbers of atoms and bonds that RDKit will go by, before it spends time on them."""
    counts = lines[3] if len(lines) > 3 else ""
    fields = [counts[:3], counts[3:6]]
    if "V3000" in counts:
        line = next((line for line in lines if line.startswith("M  V30 COUNTS ")), "")
        fields = line.split()[3:5]
    try:
        atoms, bonds = (int(text) for text in fields)
    except ValueError as error:
        raise BadRecord("decode_failed", "its line of counts is not readable") from error
    if atoms > MAX_ATOMS:
        raise BadRecord("too_large", f"{atoms} atoms, more than {MAX_ATOMS}")
    if is_tangled(atoms, bonds):
        raise BadRecord("sanitise_failed", "more than two bonds per atom")


def _parse_block(block: str) -> Chem.Mol:
    with rdBase.BlockLogs():
        try:
            mol = Chem.MolFromMolBlock(block, sanitize=False, removeHs=False, strictParsing=True)
        except RuntimeError as error:
            raise BadRecord("decode_failed", f"the molecule block is not readable ({_first_line(error)})") from error
    if mol is None:
        unknown = _unknown_element(block.split("\n"))
        if unknown:
            raise BadRecord("foreign_element", f"unknown element {unknown[:20]!r}")
        raise BadRecord("decode_failed", "the molecule block is not readable")
    for atom in mol.GetAtoms():
        if not 0 < atom.GetAtomicNum() < len(ELEMENTS):
            raise BadRecord("foreign_element", f"unknown element {atom.GetSymbol()!r}")
    return mol


def _unknown_element(lines: list[str]) -> str | None:
    """The first symbol of an atom line that is no element's: RDKit refuses the block without naming it."""
    if "V3000" in lines[3]:
        begin, end = (
            next((i for i, line in enumerate(lines) if line.startswith(f"M  V30 {word} ATOM")), 0)
            for word in ("BEGIN", "END")
        )
        symbols = [line.split()[3] for line in lines[begin + 1 : end] if len(line.split()) > 3]
    else:
        symbols = [line[31:34].strip() for line in lines[4 : 4 + int(lines[3][:3])]]
    return next((symbol for symbol in symbols if symbol not in ELEMENTS[1:]), None)


def _molecule(mol: Chem.Mol, known: str | None) -> tuple[Molecule, BadRecord | None]:
    bad = None
    try:
        mol.UpdatePropertyCache(strict=False)
        with rdBase.BlockLogs(), np.errstate(over="ignore"):
            molecule = from_rdkit(mol)
    except (ValueError, RuntimeError) as error:
        bad = BadRecord("sanitise_failed", f"its bonds have no Kekule form ({_first_line(error)})")
        atoms = Chem.RWMol(mol)
        for bond in mol.GetBonds():
            atoms.RemoveBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
        for atom in atoms.GetAtoms():
            atom.SetIsAromatic(False)
        molecule = from_rdkit(atoms)
    if bad is not None or known == "unknown" or (known is None and len(molecule) > 1 and not len(molecule.bonds)):
        molecule = replace(molecule, bonds=None, bond_orders=None, formal_charges=None)
    if not np.isfinite(molecule.positions).all():
        bad = BadRecord("nan_coordinates", "a coordinate is not finite")
    return molecule, bad


def _parse_data(lines: list[str]) -> dict[str, str]:
    """Data items: a `> <name>` line, then the value's lines up to a blank one."""
    properties: dict[str, str] = {}
    name: str | None = None
    for line in lines:
        if line.startswith(">") and "<" in line and ">" in line[line.index("<") :]:
            name = line[line.index("<") + 1 : line.rindex(">")]
        elif not line.strip():
            name = None
        elif name is not None:
            properties[name] = f"{properties[name]}\n{line}" if name in properties else line
    return properties


def _lines(path: Path, molecules: Molecules) -> Iterator[str]:
    for molecule, properties in zip(molecules, property_rows(molecules), strict=True):
        known = molecule.bonds is not None
        if known != (len(molecule) <= 1 or (known and len(molecule.bonds) > 0)):
            properties[_BONDS_KEY] = "known" if known else "unknown"
        title = properties.pop("id", "")
        for name, text in properties.items():
            # A value that starts like a data header, or a blank line in it, would be read as another item.
            if not text.strip() or "\n" in text or "\r" in text or text.startswith((">", "$$$$")):
                raise UserError(f"Cannot write {path}: the text of column {name!r} does not fit SDF. Use Parquet.")
            if any(c in name for c in "<>\n\r"):
                raise UserError(f"Cannot write {path}: the column name {name!r} does not fit SDF. Use Parquet.")
        yield from _block(molecule, title)
        for name, text in properties.items():
            yield from (f">  <{name}>", text, "")
        yield "$$$$"


def _block(molecule: Molecule, title: str) -> Iterator[str]:
    bonds = [] if molecule.bonds is None else molecule.bonds.tolist()
    charges = [0] * len(molecule) if molecule.formal_charges is None else molecule.formal_charges.tolist()
    yield from (title.replace("\n", " "), "  latent3d          3D", "", "  0  0  0     0  0            999 V3000")
    yield from ("M  V30 BEGIN CTAB", f"M  V30 COUNTS {len(molecule)} {len(bonds)} 0 0 0", "M  V30 BEGIN ATOM")
    for i, (number, xyz) in enumerate(zip(molecule.atomic_numbers, molecule.positions, strict=True), start=1):
        place = " ".join(map(coordinate_text, xyz))
        charge = f" CHG={charges[i - 1]}" if charges[i - 1] else ""
        yield f"M  V30 {i} {ELEMENTS[number]} {place} 0{charge}"
    yield from ("M  V30 END ATOM", "M  V30 BEGIN BOND")
    for k, ((i, j), order) in enumerate(zip(bonds, molecule.bond_orders if bonds else [], strict=True), start=1):
        yield f"M  V30 {k} {order} {i + 1} {j + 1}"
    yield from ("M  V30 END BOND", "M  V30 END CTAB", "M  END")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")[:120]
