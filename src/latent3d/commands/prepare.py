"""From any molecule file to a dataset: bonds, canonical SMILES, split and subset; what is unusable is counted."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from rdkit import rdBase

from latent3d.base.errors import UserError
from latent3d.base.files import hash_file
from latent3d.data.molecules.bonds import find_bonds, map_molecules
from latent3d.data.molecules.molecules import ELEMENTS, Molecule, Molecules, from_list
from latent3d.data.molecules.parquet import read_metadata, write_parquet
from latent3d.data.molecules.perception import MAX_ATOMS
from latent3d.data.molecules.rdkit import canonical_smiles, is_tangled
from latent3d.data.molecules.read import read_molecules
from latent3d.data.molecules.verdict import judge_graph
from latent3d.plan import parse_dataset

SPLITS = ("train", "valid", "test")
_SECONDS_PER_MOLECULE = 0.001


@dataclass(frozen=True)
class Usable:
    """A molecule that a system can learn from, or the reason why it is none."""

    status: str
    molecule: Molecule | None = None
    smiles: str | None = None


def prepare(file: Path | str, out: Path | str, settings: str, processes: int | None = None) -> None:
    """Write the dataset that `settings` (JSON of config.Dataset) makes of the molecules in `file`.

    Works on `processes` processes (default: every core); the result does not depend on their number.

    Raises:
        UserError: the file or the settings are wrong, the split is missing, or too few molecules are usable.
    """
    file = Path(file)
    dataset = _parse_settings(settings, file)
    source = read_molecules(file)
    molecules, dropped = make_dataset(
        source, dataset.split, dataset.train_size, dataset.test_size, str(file), processes
    )
    origin = read_metadata(file) if file.suffix == ".parquet" else {}
    metadata = {
        "file": file.name,
        "file_sha256": hash_file(file),
        "file_molecules": len(source),
        "origin": {key: value for key, value in origin.items() if key not in ("schema_version", "units")},
        "settings": dataset.model_dump(mode="json", include={"split", "train_size", "test_size"}),
        "dropped": dropped,
    }
    write_parquet(out, molecules, metadata)
    sizes = molecules.table["split"].value_counts()
    elements = [ELEMENTS[number] for number in np.unique(molecules.atomic_numbers)]
    print(
        f"{out}: {', '.join(f'{sizes[name]} {name}' for name in SPLITS)}; elements {' '.join(elements)}; at most "
        f"{molecules.atom_counts.max()} atoms; dropped: {_counts(dropped)}",
        file=sys.stderr,
    )


def make_dataset(
    molecules: Molecules,
    split: Literal["column"] | tuple[float, float, float],
    train_size: int | None = None,
    test_size: int | None = None,
    where: str = "the file",
    processes: int | None = None,
) -> tuple[Molecules, dict[str, int]]:
    """The usable molecules with bonds, in the order of the file, and how many were dropped for which reason.

    A split drawn by shares keeps all rows of one constitution (the canonical SMILES without stereo: conformers,
    enantiomers) together, so that no test molecule was trained on; the shares are of usable rows, off by at most half
    of such a group. A subset is drawn with seed 0; where the file gives the split, before any bond is looked for, and
    filled up where molecules turn out unusable. A smaller subset is part of every larger one. Validation and test both
    get `test_size`.

    Raises:
        UserError: as `prepare`.
    """
    if not len(molecules):
        raise UserError(f"{where} holds no molecules.")
    reasons = _obvious_reasons(molecules)
    smiles = molecules.table["smiles"].tolist() if "smiles" in molecules.table else [None] * len(molecules)
    checked: dict[int, Usable] = {}

    def check(rows: list[int], what: str) -> list[Usable]:
        new = [row for row in rows if row not in checked]
        seconds = len(new) * _SECONDS_PER_MOLECULE
        if seconds > 2:
            print(f"{what}: checking {len(new)} molecules, about {seconds:.0f} s on one core", file=sys.stderr)
        results = map_molecules(usable, [(molecules[row], smiles[row]) for row in new], what, processes)
        checked.update(zip(new, results, strict=True))
        return [checked[row] for row in rows]

    if split == "column":
        names = _column_names(molecules, where)
        reasons[(reasons == "ok") & ~np.isin(names, SPLITS)] = "no_split"
    else:
        rows = np.flatnonzero(reasons == "ok").tolist()
        reasons[rows] = [result.status for result in check(rows, "molecules")]
        names = _draw_names([checked[row].smiles if row in checked else None for row in range(len(molecules))], split)
    dropped = Counter(reasons[reasons != "ok"].tolist())
    chosen: dict[int, Usable] = {}
    for number, (name, size) in enumerate(zip(SPLITS, (train_size, test_size, test_size), strict=True)):
        candidates = np.flatnonzero((names == name) & (reasons == "ok"))
        if size is not None:
            candidates = np.random.default_rng([0, number]).permutation(candidates)
        found, failures = _first_usable(candidates, size, name, check)
        dropped.update(failures)
        needed = 1 if size is None else size
        if len(found) < needed:
            key = f"{'train_size' if name == 'train' else 'test_size'}: {size}"
            raise UserError(
                f"{where} has only {len(found)} usable {name} molecules"
                + (f", but {key} asks for more" if size is not None else "")
                + f". Dropped: {_counts(dropped)}. {_advice(dropped)}"
            )
        chosen.update(found)
    rows = np.array(sorted(chosen))
    table = _table(molecules, names).iloc[rows].reset_index(drop=True)
    table["smiles"] = [chosen[row].smiles for row in rows.tolist()]
    units = {name: unit for name, unit in molecules.units.items() if name in table}
    return from_list([chosen[row].molecule for row in rows.tolist()], table, units), dict(sorted(dropped.items()))


def usable(item: tuple[Molecule, Any]) -> Usable:
    """Check one molecule (with the SMILES its file gives, or None), finding its bonds where it has none.

    It must have a graph that sanitises without implicit hydrogens, without radicals, in one piece.
    """
    given, smiles = item
    molecule, status = find_bonds(given, smiles if isinstance(smiles, str) else None)
    if status != "ok":
        return Usable(status)
    if is_tangled(len(molecule), len(molecule.bonds)):
        return Usable("sanitise_failed")
    with rdBase.BlockLogs():
        verdict = judge_graph(molecule, may_be_charged=True)
    if verdict.status != "ok":
        return Usable(verdict.status)
    return Usable("ok", molecule, canonical_smiles(verdict.mol))


def _parse_settings(settings: str, file: Path) -> Any:
    try:
        raw = json.loads(settings)
    except json.JSONDecodeError as error:
        raise UserError(f"--settings is not JSON ({error}). Example: '{{\"split\": [0.8, 0.1, 0.1]}}'.") from error
    if isinstance(raw, dict) and "source" not in raw:
        raw = {"source": "file", "file": str(file), **raw}
    return parse_dataset(raw, "--settings")


def _column_names(molecules: Molecules, where: str) -> np.ndarray:
    """[M] the split that the file gives, None where it gives none."""
    if "split" not in molecules.table:
        raise UserError(f"{where} has no column 'split'. Set split: [0.8, 0.1, 0.1] in the configuration to draw one.")
    column = molecules.table["split"].astype(object)
    wrong = sorted({str(name) for name in column.dropna().unique()} - set(SPLITS))
    if wrong:
        raise UserError(f"{where}: column 'split' says {wrong[0]!r}; it must be train, valid or test (or null).")
    return column.where(column.notna(), None).to_numpy(dtype=object)


def _draw_names(constitutions: list[str | None], shares: tuple[float, float, float]) -> np.ndarray:
    """[M] a split drawn with seed 0, the same for equal constitutions; None where the constitution is None.

    The constitutions are lined up in random order, each as long as its number of rows; its middle decides.
    """
    groups = pd.factorize(pd.Series(constitutions, dtype=object))[0]
    sizes = np.bincount(groups[groups >= 0], minlength=groups.max() + 1)
    order = np.random.default_rng(0).permutation(len(sizes))
    middles = np.cumsum(sizes[order]) - sizes[order] / 2
    ends = np.round(np.cumsum(shares) * sizes.sum())
    drawn = np.empty(len(sizes) + 1, dtype=object)  # the last for group -1, without a constitution: None
    drawn[order] = np.array(SPLITS, dtype=object)[np.searchsorted(ends[:2], middles, side="right")]
    return drawn[groups]


def _obvious_reasons(molecules: Molecules) -> np.ndarray:
    """[M] `ok`, or why a molecule is unusable whatever its bonds; takes no time."""
    reasons = np.full(len(molecules), "ok", dtype=object)
    owner = molecules.molecule_of_atom
    numbers = molecules.atomic_numbers
    bad_atoms = {
        "nan_coordinates": ~np.isfinite(molecules.positions).all(axis=1),
        "foreign_element": (numbers == 0) | (numbers >= len(ELEMENTS)),
    }
    for reason, atoms in bad_atoms.items():
        reasons[owner[atoms]] = reason
    reasons[molecules.atom_counts > MAX_ATOMS] = "too_large"
    reasons[molecules.atom_counts == 0] = "decode_failed"
    if "status" in molecules.table:
        status = molecules.table["status"].fillna("ok").to_numpy(dtype=object)
        reasons = np.where(status != "ok", status, reasons)
    return reasons


def _first_usable(
    candidates: np.ndarray, size: int | None, name: str, check: Callable[[list[int], str], list[Usable]]
) -> tuple[dict[int, Usable], Counter[str]]:
    """The first `size` usable candidates (all, if None) by their row, and the failures among those looked at."""
    found: dict[int, Usable] = {}
    failures: Counter[str] = Counter()
    place = 0
    while place < len(candidates) and (size is None or len(found) < size):
        rows = candidates[place : None if size is None else place + size - len(found)].tolist()
        place += len(rows)
        for row, result in zip(rows, check(rows, name), strict=True):
            if result.status == "ok":
                found[row] = result
            else:
                failures[result.status] += 1
    return found, failures


def _table(molecules: Molecules, names: np.ndarray) -> pd.DataFrame:
    """Columns id, smiles, split, then the file's numbers and texts. Missing and repeated ids are made unique."""
    table = molecules.table
    row_names = pd.Series([f"mol_{row:06d}" for row in range(len(table))], index=table.index)
    ids = row_names
    if "id" in table:
        given = table["id"].map(str, na_action="ignore").astype(object)
        repeated = given.notna() & given.duplicated(keep=False)
        ids = given.mask(repeated, given + "_" + row_names).where(given.notna(), row_names)
    kept = {
        name: table[name]
        for name in table.columns
        if name not in ("id", "smiles", "split", "status", "problem")
        and (pd.api.types.is_numeric_dtype(table[name]) or pd.api.types.is_string_dtype(table[name]))
    }
    return pd.DataFrame({"id": ids.tolist(), "smiles": None, "split": names.tolist(), **kept})


def _counts(dropped: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items())) or "none"


def _advice(dropped: dict[str, int]) -> str:
    most = max(dropped, key=lambda reason: dropped[reason], default=None)
    return {
        "nan_coordinates": "A molecule needs a 3D position for every atom.",
        "radical": "Are the hydrogens missing in the file? All hydrogens must be explicit.",
        "odd_electrons": "Only closed-shell molecules can be used; without bonds in the file they must be neutral.",
        "too_large": f"At most {MAX_ATOMS} atoms per molecule can be used.",
        "foreign_element": f"The elements up to {ELEMENTS[-1]} can be used.",
        "fragments": "Keep one molecule per record.",
        "no_split": "Fill the column 'split' with train, valid or test.",
        None: "Put more molecules into this split, or change `split`.",
    }.get(most, "Check these records of the file.")
