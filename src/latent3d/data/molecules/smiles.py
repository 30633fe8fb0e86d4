"""Molecules as a SMILES file: one `SMILES name` per line, plain or .gz. Explicit hydrogens, no positions."""

from collections.abc import Iterator
from pathlib import Path

from rdkit import Chem, rdBase

from latent3d.base.errors import UserError
from latent3d.data.molecules.molecules import ELEMENTS, Molecule, Molecules
from latent3d.data.molecules.rdkit import canonical_smiles, from_rdkit, is_tangled, sanitised
from latent3d.data.molecules.textfile import MAX_ATOMS, BadRecord, TextRecords, read_lines, write_lines

_MAX_SMILES = 4096


def write_smiles(path: Path | str, molecules: Molecules) -> None:
    """Write the `smiles` column (or, without one, canonical SMILES of the graphs, without stereo) and `id`, atomically.

    Raises:
        UserError: a molecule has neither a SMILES nor a graph to make one from.
    """
    write_lines(path, _lines(Path(path), molecules))


def read_smiles(path: Path | str) -> Molecules:
    """Read all lines, hydrogens added; positions are NaN. A bad line (also an empty one, but for the
    file's end) stays as an empty molecule with its `status`.

    Raises:
        UserError: the file is missing, truncated while gzipped, or too large.
    """
    path = Path(path)
    records = TextRecords(path)
    blank = 0
    for number, line in enumerate(read_lines(path)):
        fields = line.split(maxsplit=1)
        if number == 0 and fields and fields[0].lower() == "smiles":
            continue
        if not fields:
            blank += 1
            continue
        # A generator's failed sample, unless nothing follows it.
        for _ in range(blank):
            records.add_bad(BadRecord("decode_failed", "an empty line"))
        blank = 0
        properties = {"smiles": fields[0]} | ({"id": fields[1].strip()} if len(fields) > 1 else {})
        try:
            records.add(_graph(fields[0]), properties)
        except BadRecord as error:
            records.add_bad(error, properties)
    return records.finish()


def _graph(smiles: str) -> Molecule:
    if len(smiles) > _MAX_SMILES:
        raise BadRecord("too_large", f"a SMILES of {len(smiles)} characters")
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles, sanitize=False)
        if mol is None:
            raise BadRecord("decode_failed", f"not a SMILES: {smiles[:40]!r}")
        if is_tangled(mol.GetNumAtoms(), mol.GetNumBonds()):
            raise BadRecord("sanitise_failed", "more than two bonds per atom")
        try:
            Chem.SanitizeMol(mol)
            mol = Chem.AddHs(mol)
        except ValueError as error:
            raise BadRecord("sanitise_failed", f"{smiles[:40]!r}: {error}") from error
        if mol.GetNumAtoms() > MAX_ATOMS:
            raise BadRecord("too_large", f"{mol.GetNumAtoms()} atoms, more than {MAX_ATOMS}")
        if any(not 0 < atom.GetAtomicNum() < len(ELEMENTS) for atom in mol.GetAtoms()):
            raise BadRecord("foreign_element", f"unknown element in {smiles[:40]!r}")
        try:
            return from_rdkit(mol)
        except ValueError as error:
            raise BadRecord("sanitise_failed", f"{smiles[:40]!r}: {error}") from error


def _lines(path: Path, molecules: Molecules) -> Iterator[str]:
    table = molecules.table
    ids = table["id"].tolist() if "id" in table else [None] * len(molecules)
    given = table["smiles"].tolist() if "smiles" in table else [None] * len(molecules)
    for i, molecule in enumerate(molecules):
        smiles = given[i] if isinstance(given[i], str) else _smiles_of(molecule)
        if smiles is None:
            raise UserError(f"Cannot write {path}: molecule {i} has no SMILES and no valid graph. Use Parquet.")
        yield smiles if ids[i] is None else f"{smiles} {ids[i]}"


def _smiles_of(molecule: Molecule) -> str | None:
    if molecule.bonds is None or not len(molecule):
        return None
    with rdBase.BlockLogs():
        mol = sanitised(molecule)
    return None if mol is None else canonical_smiles(mol)
