"""Harmonic frequencies from finite differences of gradients, and the heat capacity as QM9 defines it."""

import numpy as np
from rdkit import Chem

from latent3d.calculations.gfn2.singlepoint import Gfn2
from latent3d.data.molecules.units import ANGSTROM_PER_BOHR

STEP = 0.01
"""Displacement of the central differences, bohr."""
WAVENUMBER = 219474.6313632
"""cm^-1 per hartree."""
ELECTRON_MASSES = 1822.888486209
"""Electron masses per atomic mass unit."""
R = 1.98720425864
"""Gas constant, cal/mol/K."""
KELVIN_PER_WAVENUMBER = 1.438776877


def hessian(molecule: Gfn2, positions: np.ndarray) -> np.ndarray:
    """Second derivatives [3N, 3N], hartree/bohr^2, at positions [N, 3] (angstrom), by central differences."""
    molecule.singlepoint(positions)
    rows = []
    for atom in range(len(positions)):
        for axis in range(3):
            shift = np.zeros_like(positions, dtype=float)
            shift[atom, axis] = STEP * ANGSTROM_PER_BOHR
            forward, backward = molecule.gradient_at(positions + shift), molecule.gradient_at(positions - shift)
            rows.append((forward - backward).reshape(-1) / (2 * STEP))
    matrix = np.array(rows)
    return (matrix + matrix.T) / 2


def masses(atomic_numbers: np.ndarray) -> np.ndarray:
    """[N] standard atomic weights, atomic mass units."""
    table = Chem.GetPeriodicTable()
    return np.array([table.GetAtomicWeight(int(number)) for number in atomic_numbers])


def normal_modes(
    matrix: np.ndarray, atomic_numbers: np.ndarray, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Wavenumbers [F] (cm^-1, imaginary as negative, ascending) and Cartesian modes [F, N, 3] (unit length).

    Translations and rotations are projected out: F is 3N - 6, 3N - 5 of a linear molecule, 0 of an atom.
    """
    root = np.repeat(np.sqrt(masses(atomic_numbers) * ELECTRON_MASSES), 3)
    external = _rigid_motions(root, positions)
    basis = np.linalg.svd(external, full_matrices=True)[0][:, external.shape[1] :]  # [3N, F]
    values, vectors = np.linalg.eigh(basis.T @ (matrix / np.outer(root, root)) @ basis)
    modes = (basis @ vectors / root[:, None]).T
    modes /= np.linalg.norm(modes, axis=1, keepdims=True)
    return np.sign(values) * np.sqrt(np.abs(values)) * WAVENUMBER, modes.reshape(len(values), -1, 3)


def heat_capacity(wavenumbers: np.ndarray, positions: np.ndarray, temperature: float = 298.15) -> float:
    """Cv, cal/mol/K: harmonic vibrations, classical rotation (R if linear, none for an atom) and translation.

    Raises:
        ValueError: a wavenumber is not positive: the geometry is no minimum.
    """
    if len(wavenumbers) and np.min(wavenumbers) <= 0:
        raise ValueError("the geometry has an imaginary mode")
    x = KELVIN_PER_WAVENUMBER * np.asarray(wavenumbers) / temperature
    vibration = float((x**2 * np.exp(-x) / np.expm1(-x) ** 2).sum())
    rotation = 0.0 if len(positions) == 1 else 1.0 if is_linear(positions) else 1.5
    return R * (vibration + rotation + 1.5)


def is_linear(positions: np.ndarray) -> bool:
    """Whether all atoms at positions [N, 3] lie on a line within 0.001 angstrom."""
    return bool(np.linalg.svd(positions - positions.mean(0), compute_uv=False)[1] < 1e-3)


def _rigid_motions(root: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Orthonormal mass-weighted translations and rotations [3N, 3], [3N, 5] or [3N, 6]."""
    weights = root[::3] ** 2
    centred = positions - (weights[:, None] * positions).sum(0) / weights.sum()
    translations = [np.tile(axis, len(positions)) for axis in np.eye(3)]
    rotations = [np.cross(axis, centred).reshape(-1) for axis in np.eye(3)]
    motions = np.array(translations + rotations).T * root[:, None]  # [3N, 6]
    motions /= np.maximum(np.linalg.norm(motions, axis=0), 1e-12 * root.max())
    left = np.linalg.svd(motions, full_matrices=False)[0]
    rank = 3 if len(positions) == 1 else 5 if is_linear(positions) else 6
    return left[:, :rank]
