"""The report's gallery: the first samples of every row with their verdicts, and the viewer that draws them.

The viewer is 3Dmol.js (Rego and Koes, Bioinformatics 2015), which the installed package chemiscope carries (both have
the 3-clause BSD licence). It is read from there when the report is made: its own package, py3Dmol, has no copy but
loads one from the network, and a report opens without.
"""

import base64
import gzip
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from latent3d.base.errors import UserError
from latent3d.base.layout import ENERGIES
from latent3d.calculations.energies_file import read_energies
from latent3d.data.molecules.molecules import ELEMENTS, Molecule
from latent3d.data.molecules.perception import perceive_bonds
from latent3d.evaluation.registry import FAMILIES
from latent3d.reporting.drawings import COLOURS, OTHER_COLOUR, principal_axes
from latent3d.reporting.material import Material
from latent3d.reporting.rows import TableRow

SHOWN = 12
"""Samples of each row: the first of the first training and sampling seed."""

_MEANINGS = {quantity.name: quantity.meaning for family in FAMILIES.values() for quantity in family}
_ENERGIES = {"relaxation": ("relax_status", "relaxation_energy"), "strain": ("strain_status", "strain")}
"""Status and value in energies.parquet, by key of VERDICTS."""

VERDICTS = {
    "sample": ("generated", "Whether the system made a molecule; if not, why."),
    "strict": ("strictly valid", _MEANINGS["strict_validity"]),
    "legacy_stable": ("stable (EDM rule)", _MEANINGS["legacy_molecule_stability"]),
    "stability": ("stable (valences of the data)", _MEANINGS["molecule_stability"]),
    "posebusters": ("PoseBusters", _MEANINGS["posebusters_quick"]),
    "novel": ("not in the training set", _MEANINGS["valid_unique_novel"]),
    "gfn2": ("GFN2-xTB single point", _MEANINGS["gfn2_success"]),
    "relaxation": ("energy lost in relaxation", _MEANINGS["relaxation_energy_median"]),
    "strain": ("MMFF94s strain", _MEANINGS["strain_median"]),
    "bonds": ("bonds", "From the sample's own graph, or perceived from its coordinates (RDKit DetermineBonds)."),
    "smiles": ("SMILES", "Canonical, without stereo marks; of strictly valid samples."),
}
"""What is said of each sample: label and tooltip."""


def gallery(benchmarks: list[Material]) -> dict[str, Any]:
    """What the page needs to draw."""
    return {
        "verdicts": {key: {"label": label, "tip": tip} for key, (label, tip) in VERDICTS.items()},
        "colours": {ELEMENTS[number]: colour for number, colour in COLOURS.items()},
        "other": OTHER_COLOUR,
        "benchmarks": {
            material.benchmark: {row.name: dict(_variants(material, row)) for row in material.rows}
            for material in benchmarks
        },
    }


def viewer() -> dict[str, str]:
    """The viewer's script (gzip, base64), what it is, and its licences.

    Raises:
        UserError: chemiscope is not installed, or not in the version that this project names.
    """
    try:
        package = distribution("chemiscope")
        script = Path(package.locate_file("chemiscope/sphinx/static/chemiscope.min.js")).read_bytes()
        notices = Path(package.locate_file("chemiscope/static/chemiscope-widget.mjs.LICENSE.txt")).read_text("utf-8")
    except (PackageNotFoundError, FileNotFoundError) as error:
        raise UserError("The report needs the package chemiscope: pip install 'latent3d[report]'.") from error
    return {
        "script": base64.b64encode(gzip.compress(script, 9, mtime=0)).decode(),
        "name": f"3Dmol.js in chemiscope {package.version}",
        "licences": (package.read_text("licenses/LICENSE") or "") + "\n" + notices,
    }


def _variants(material: Material, row: TableRow) -> Iterator[tuple[str, list[dict]]]:
    """Variant and its first samples. A sample is turned alike in all of them, so that they can be compared."""
    axes: dict[int, np.ndarray] = {}
    for variant in row.variants:
        molecules = material.first_samples(row, variant, SHOWN)
        judged = _facts(material, row, variant)
        samples = []
        for number, (molecule, facts) in enumerate(zip(molecules, judged, strict=True)):
            finite = len(molecule) > 0 and bool(np.isfinite(molecule.positions).all())
            if finite and number not in axes:
                axes[number] = principal_axes(molecule.positions)
            if len(molecule) and molecule.bonds is None:
                molecule, status = perceive_bonds(molecule)
                facts |= {} if status == "ok" else {"bonds": ["none can be perceived", False]}
            samples.append({"facts": facts, **(_drawable(molecule, axes[number]) if finite else _NOTHING)})
        yield variant, samples


_NOTHING: dict[str, list] = {"elements": [], "positions": [], "bonds": []}


def _drawable(molecule: Molecule, axes: np.ndarray) -> dict[str, list]:
    """Elements, flat positions (angstrom, centred, the broad side in front), bonds as flat (i, j, order)."""
    turned = (molecule.positions - molecule.positions.mean(0)) @ axes.T
    bonds = np.zeros((0, 3), int)
    if molecule.bonds is not None and len(molecule.bonds):
        orders = np.ones(len(molecule.bonds), int) if molecule.bond_orders is None else molecule.bond_orders
        bonds = np.column_stack([molecule.bonds, orders])
    return {
        "elements": [ELEMENTS[number] if 0 < number < len(ELEMENTS) else "?" for number in molecule.atomic_numbers],
        "positions": turned.astype(float).round(3).ravel().tolist(),
        "bonds": bonds.ravel().tolist(),
    }


def _facts(material: Material, row: TableRow, variant: str) -> list[dict[str, list]]:
    """Of each of the first samples: by key of VERDICTS the text, and whether it is good (None: neither)."""
    ledger = material.first_of_ledger(row, variant, SHOWN)
    energies: list[dict] = [{}] * len(ledger)
    file = material.of_samples(row, variant, ENERGIES)[0]
    if file.is_file():
        energies = read_energies(file).iloc[: len(ledger)].to_dict("records")
    lines = zip(ledger.to_dict("records"), energies, strict=True)
    return [
        {"index": [str(line["sample_index"]), None]}
        | {key: fact for key in VERDICTS if (fact := _fact(key, line, energy)) is not None}
        for line, energy in lines
    ]


def _fact(key: str, line: dict, energy: dict) -> list | None:
    """[text, whether it is good] of one verdict; None where it was not asked for."""
    if key in _ENERGIES:
        return _energy(key, energy)
    value = line.get(key)
    if value is None or pd.isna(value):
        return None
    if key in ("bonds", "smiles"):
        return [str(value), None]
    if key in ("legacy_stable", "novel"):
        # Molecules of the training set are no failure, but no news.
        return ["yes" if value else "no", bool(value) if key == "legacy_stable" else None]
    return ["yes" if value == "ok" else str(value).replace("_", " "), value == "ok"]


def _energy(key: str, energy: dict) -> list | None:
    status_column, value_column = _ENERGIES[key]
    status = energy.get(status_column)
    if not isinstance(status, str):
        return None
    if status != "ok":
        return [status.replace("_", " "), False]
    changed = key == "relaxation" and energy.get("graph_survived") == False  # noqa: E712 (or null)
    text = f"{energy[value_column]:.1f} kcal/mol" + ("; its bonds changed" if changed else "")
    return [text, False if changed else None]
