"""Reference statistics as a safetensors file, and the names under which they are asked for: mini, qm9, or a file.

Texts are arrays of bytes (UTF-8, one line each), since the format holds numbers alone.
"""

import json
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np
import rdkit
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

import latent3d
from latent3d.base.errors import UserError
from latent3d.base.files import atomic_path
from latent3d.evaluation.analysis.profile import PARTS, Profile
from latent3d.evaluation.analysis.reference import Reference
from latent3d.evaluation.geometry.histograms import GeometryHistogram
from latent3d.evaluation.validity.valences import ValenceTable

VERSION = 4
"""Raised whenever the statistics change, so that cached ones are made again."""

CHEMNET = ("chemnet", "chemnet_test")
_REMEDY = "Delete it; it is made again when it is needed."


def write_reference(path: Path, reference: Reference) -> None:
    """Write the statistics atomically. Equal statistics give equal bytes."""
    profile = reference.profile
    arrays = {
        "elements": np.array(sorted(reference.elements), np.uint8),
        "smiles": _lines(sorted(reference.smiles)),
        "held_out_smiles": _lines(sorted(reference.held_out_smiles)),
        "legacy_smiles": _lines(sorted(reference.legacy_smiles)),
        "profile.smiles": _lines(profile.smiles),
        "profile.descriptors": profile.descriptors,
        "profile.heavy_atoms": profile.heavy_atoms,
        "profile.fingerprints": profile.fingerprints,
    }
    for kind in PARTS:
        items = sorted(profile.parts[kind].items())
        arrays[f"parts.{kind}"] = _lines([name for name, _ in items])
        arrays[f"parts.{kind}.counts"] = np.array([count for _, count in items], np.int64)
    arrays |= {f"valences.{name}": array for name, array in reference.valences.to_arrays().items()}
    arrays |= {f"geometry.{name}": array for name, array in profile.geometry.to_arrays().items()}
    for name in CHEMNET:
        if (statistics := getattr(reference, name)) is not None:
            arrays |= {f"{name}.mean": statistics[0], f"{name}.covariance": statistics[1]}
    about = {
        "version": VERSION,
        "rdkit": rdkit.__version__,
        "latent3d": latent3d.__version__,
        "sha256": reference.sha256,
        "description": reference.description,
        "floor": reference.floor,
        "floor_molecules": reference.floor_molecules,
    }
    content = save(
        {name: np.ascontiguousarray(array) for name, array in arrays.items()},
        {"latent3d_reference": json.dumps(about, sort_keys=True, allow_nan=False)},
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def read_reference(path: Path) -> Reference:
    """Read what `write_reference` wrote.

    Raises:
        UserError: the file is missing or unreadable, or was made by another version.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})["latent3d_reference"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist. Make it with latent3d reference.") from error
    except (SafetensorError, KeyError, OSError, json.JSONDecodeError) as error:
        raise UserError(f"{path} holds no reference statistics ({error}). {_REMEDY}") from error
    if about["version"] != VERSION:
        raise UserError(f"{path} was made by another version of latent3d. {_REMEDY}")
    return Reference(
        about["sha256"],
        about["description"],
        frozenset(arrays["elements"].tolist()),
        frozenset(_texts(arrays["smiles"])),
        frozenset(_texts(arrays["legacy_smiles"])),
        ValenceTable.from_arrays(_under(arrays, "valences")),
        Profile(
            _texts(arrays["profile.smiles"]),
            arrays["profile.descriptors"],
            arrays["profile.heavy_atoms"],
            arrays["profile.fingerprints"],
            {
                kind: Counter(
                    dict(zip(_texts(arrays[f"parts.{kind}"]), arrays[f"parts.{kind}.counts"].tolist(), strict=True))
                )
                for kind in PARTS
            },
            GeometryHistogram.from_arrays(_under(arrays, "geometry")),
        ),
        *(
            (arrays[f"{name}.mean"], arrays[f"{name}.covariance"]) if f"{name}.mean" in arrays else None
            for name in CHEMNET
        ),
        frozenset(_texts(arrays["held_out_smiles"])),
        about["floor"],
        about["floor_molecules"],
    )


def _lines(texts: Collection[str]) -> np.ndarray:
    return np.frombuffer("".join(f"{text}\n" for text in texts).encode(), np.uint8)


def _texts(array: np.ndarray) -> list[str]:
    return array.tobytes().decode().split("\n")[:-1]


def _under(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(f"{prefix}."): a for name, a in arrays.items() if name.startswith(f"{prefix}.")}
