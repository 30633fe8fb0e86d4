"""Reconstruction of held-out molecules by an autoencoder: what its codes carry, measured on the test split."""

from pathlib import Path

import numpy as np

from latent3d.files import hash_file, write_json
from latent3d.metrics.reconstruction import aligned_rmsd, bond_length_mae, exact_match_2d, stereocentres
from latent3d.molecules.parquet import read_parquet
from latent3d.run import Run, versions
from latent3d.systems import load_system


def evaluate_autoencoder(system: str, weights: dict[str, Path], data: Path, run: Run, out: Path) -> None:
    """Write reconstruction.json for the test split of a dataset.

    Rates count every test molecule: one that the system could not encode is not matched. Geometric values are means
    over the molecules that could be encoded (`n_encoded`), given their true graphs; `shuffled` values use the codes
    z_3d of other molecules.
    """
    molecules = read_parquet(data).split("test")
    found = load_system(system).reconstruct(weights, molecules, run)
    exact = [exact_match_2d(a, b) for a, b in zip(found.reference, found.graphs, strict=True)]
    pairs = list(zip(found.reference, found.conformers, strict=True))
    rmsd = np.array([aligned_rmsd(a, b) for a, b in pairs])  # [R, 2]: heavy, all
    shuffled = np.array([aligned_rmsd(a, b) for a, b in zip(found.reference, found.shuffled, strict=True)])
    alike = np.array([stereocentres(a, b) for a, b in pairs]).sum(0)
    alike_shuffled = np.array([stereocentres(a, b) for a, b in zip(found.reference, found.shuffled, strict=True)]).sum(
        0
    )
    values = {
        "exact_match_2d": sum(exact) / len(molecules),
        "bond_length_mae": np.mean([bond_length_mae(a, b) for a, b in pairs]),
        "rmsd_heavy": rmsd[:, 0].mean(),
        "rmsd_all": rmsd[:, 1].mean(),
        "rmsd_heavy_median": np.median(rmsd[:, 0]),
        "rmsd_all_median": np.median(rmsd[:, 1]),
        "rmsd_heavy_shuffled": shuffled[:, 0].mean(),
        "rmsd_all_shuffled": shuffled[:, 1].mean(),
        "chirality_recovered": alike[0] / alike[1] if alike[1] else None,
        "chirality_recovered_shuffled": alike_shuffled[0] / alike_shuffled[1] if alike_shuffled[1] else None,
        "n_stereocentres": int(alike[1]),
        "latent_2d": found.latent_2d,
        "latent_3d": found.latent_3d,
        "rotation_error": found.rotation_error,
        "reflection_change": found.reflection_change,
    }
    write_json(
        out,
        {
            "schema_version": 1,
            "n": len(molecules),
            "n_encoded": len(found.index),
            "values": {name: _number(value) for name, value in values.items()},
            "provenance": {
                "data_sha256": hash_file(data),
                "weights_sha256": {stage: hash_file(path) for stage, path in weights.items()},
                "versions": versions(["latent3d", "numpy", "rdkit", "torch"]),
            },
        },
    )


def _number(value: float | int | None) -> float | int | None:
    if value is None or isinstance(value, int):
        return value
    return float(value) if np.isfinite(value) else None
