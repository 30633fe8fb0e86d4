"""Reconstruction of held-out molecules by an autoencoder: what its latents carry, measured on the test split."""

import sys
from pathlib import Path

import numpy as np
import torch

from latent3d.base.errors import UserError
from latent3d.base.files import hash_file, write_json
from latent3d.base.run import Run, versions
from latent3d.data.molecules.bonds import map_molecules
from latent3d.data.molecules.molecules import Molecule, Molecules
from latent3d.data.molecules.parquet import read_parquet
from latent3d.evaluation.geometry.reconstruction import aligned_rmsd, bond_length_mae, exact_match_2d, stereocentres
from latent3d.nets.alignment import rotation_matrix
from latent3d.systems import Codec, Encoded, load_system

_SECONDS_TO_RECONSTRUCT = 0.01  # on one core, with networks of the preset `cpu`
_SECONDS_TO_COMPARE = 0.003


def evaluate_autoencoder(system: str, weights: dict[str, Path], data: Path, run: Run, out: Path) -> None:
    """Write reconstruction.json for the test split of a dataset.

    Rates count every test molecule: one that the system could not encode is not matched. Geometric values are means
    and medians over the molecules that could be encoded (`n_encoded`), given their true graphs, less those whose
    decoded geometry is not finite: `n_failed_geometry`, which count as failures of chirality. (Heavy atoms and bonds:
    less molecules without any.) `shuffled` values use the latents z_3d of other molecules. `quantiles`: 0 % to 100 % in
    steps of 1 %, of the molecules that the geometric values are of.
    """
    molecules = read_parquet(data).split("test")
    seconds = len(molecules) * _SECONDS_TO_RECONSTRUCT
    print(
        f"{system}: encoding and decoding {len(molecules)} test molecules, about {seconds:.0f} s on one core with the "
        "smallest networks",
        file=sys.stderr,
    )
    codec = load_system(system).codec(weights, run)
    encoded = codec.encode(molecules)
    if not len(encoded.index):
        raise UserError("The dataset has no molecule with a usable bond graph. Check its bonds and hydrogens.")
    generator, again = (torch.Generator().manual_seed(run.seed) for _ in range(2))
    conformers = codec.decode(encoded.latents, generator, encoded)
    shuffled = _of_other_latents(codec, encoded, generator, again)
    rotation = rotation_matrix(torch.randn(1, 4, generator=generator))[0]
    graphs = codec.decode(encoded.latents, generator)
    items = list(zip(encoded.molecules, graphs, conformers, shuffled, strict=True))
    seconds = len(items) * _SECONDS_TO_COMPARE
    print(f"{system}: comparing {len(items)} molecules, about {seconds:.0f} s on one core", file=sys.stderr)
    compared = np.array(map_molecules(_compare, items, "comparing", 1), float).reshape(len(items), 10)
    matched, failed, lengths, heavy, every, heavy_shuffled, every_shuffled, alike, alike_shuffled, centres = compared.T
    values = {
        "exact_match_2d": matched.sum() / len(molecules),
        "bond_length_mae": _mean(lengths),
        "rmsd_heavy": _mean(heavy),
        "rmsd_all": _mean(every),
        "rmsd_heavy_median": _median(heavy),
        "rmsd_all_median": _median(every),
        "rmsd_heavy_shuffled": _mean(heavy_shuffled),
        "rmsd_all_shuffled": _mean(every_shuffled),
        "chirality_recovered": alike.sum() / centres.sum() if centres.sum() else None,
        "chirality_recovered_shuffled": alike_shuffled.sum() / centres.sum()
        if centres.sum() and "z_3d" in encoded.latents
        else None,
        "n_stereocentres": int(centres.sum()),
        "latent_2d": codec.latent_2d,
        "latent_3d": codec.latent_3d,
        "rotation_error": codec.change(encoded, rotation),
        "reflection_change": codec.change(encoded, -torch.eye(3)),
    }
    write_json(
        out,
        {
            "schema_version": 1,
            "n": len(molecules),
            "n_encoded": len(encoded.index),
            "n_failed_geometry": int(failed.sum()),
            "values": {name: _number(value) for name, value in values.items()},
            "quantiles": {
                "rmsd_heavy": _quantiles(heavy),
                "rmsd_all": _quantiles(every),
                "rmsd_heavy_shuffled": _quantiles(heavy_shuffled),
                "rmsd_all_shuffled": _quantiles(every_shuffled),
            },
            "provenance": {
                "data_sha256": hash_file(data),
                "weights_sha256": {stage: hash_file(path) for stage, path in weights.items()},
                "versions": versions(["latent3d", "numpy", "rdkit", "torch"]),
            },
        },
    )


def _of_other_latents(
    codec: Codec, encoded: Encoded, generator: torch.Generator, again: torch.Generator
) -> Molecules | list[None]:
    """Conformers of the true graphs from z_3d of other molecules; None where one latent tells both.

    `again` gives a decoder the random numbers that it had for the molecules' own latents.
    """
    if "z_3d" not in encoded.latents:
        return [None] * len(encoded.index)
    z_3d = encoded.latents["z_3d"]
    others = torch.randperm(len(z_3d), generator=generator).to(z_3d.device)
    return codec.decode({**encoded.latents, "z_3d": z_3d[others]}, again, encoded)


def _compare(item: tuple[Molecule, Molecule, Molecule, Molecule | None]) -> tuple[float, ...]:
    """Everything measured on one molecule, its decoded graph, its decoded conformer, and that of another code."""
    reference, graph, conformer, shuffled = item
    alike, centres = stereocentres(reference, conformer)
    unknown = float("nan")
    return (
        exact_match_2d(reference, graph),
        not np.isfinite(conformer.positions).all(),
        bond_length_mae(reference, conformer),
        *aligned_rmsd(reference, conformer),
        *(aligned_rmsd(reference, shuffled) if shuffled else (unknown, unknown)),
        alike,
        stereocentres(reference, shuffled)[0] if shuffled else unknown,
        centres,
    )


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _mean(values: np.ndarray) -> float | None:
    return float(_finite(values).mean()) if len(_finite(values)) else None


def _median(values: np.ndarray) -> float | None:
    return float(np.median(_finite(values))) if len(_finite(values)) else None


def _quantiles(values: np.ndarray) -> list[float] | None:
    """0 %, 1 % ... 100 % of the finite values; None where there are none."""
    known = _finite(values)
    return np.quantile(known, np.linspace(0, 1, 101)).tolist() if len(known) else None


def _number(value: float | int | None) -> float | int | None:
    if value is None or isinstance(value, int):
        return value
    return float(value) if np.isfinite(value) else None
