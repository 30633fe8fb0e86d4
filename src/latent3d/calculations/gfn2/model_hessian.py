"""A guess of the second derivatives of the energy from the geometry alone: where quasi-Newton steps start from.

Force constants of internal coordinates in the form of Fischer and Almlöf (J. Phys. Chem. 1992, 96, 9768), which decay
with the distance beyond the sum of covalent radii, and pair springs between atoms that are neither bonded nor share a
neighbour (as Lindh et al., CPL 1995, 241, 423, have for all pairs): these stiffen the torsions of crowded molecules.
The constants are fitted to GFN2-xTB Hessians of 100 molecules by benchmarks/model_hessian.py.
"""

from dataclasses import dataclass

import numpy as np

from latent3d.calculations.gfn2.redundant_coordinates import RedundantCoordinates, pseudo_inverse
from latent3d.data.molecules.contacts import COVALENT_RADII
from latent3d.data.molecules.units import ANGSTROM_PER_BOHR


@dataclass(frozen=True)
class ForceConstants:
    """Constants in hartree and bohr (radian); `decay`s in 1/bohr.

    Attributes:
        bond_h, bond_2, bond_3: bond at the sum of covalent radii: with hydrogen, in the second period, beyond.
        bond_decay: with the bond's length.
        angle_0, angle_1, angle_2: angle with so many hydrogens at its ends.
        bend: straight angle, in each direction.
        torsion, torsion_bond, torsion_decay: all torsions about a bond: a constant, and what decays with its length.
        improper: dihedral angle of a planar centre.
        direction: Cartesian motion that the internal coordinates miss.
        contact, contact_decay: pair of atoms that are neither bonded nor share a neighbour.
    """

    bond_h: float = 0.354
    bond_2: float = 0.255
    bond_3: float = 0.161
    bond_decay: float = 2.43
    angle_0: float = 0.185
    angle_1: float = 0.125
    angle_2: float = 0.121
    bend: float = 0.0525
    torsion: float = 0.00083
    torsion_bond: float = 0.0083
    torsion_decay: float = 7.0
    improper: float = 0.0302
    direction: float = 0.0005
    contact: float = 0.0257
    contact_decay: float = 1.02


FITTED = ForceConstants()


def model_hessian(
    coordinates: RedundantCoordinates,
    atomic_numbers: np.ndarray,
    positions: np.ndarray,
    constants: ForceConstants = FITTED,
) -> np.ndarray:
    """Positive semidefinite [Q, Q] in the internal coordinates, for atomic numbers [N] at positions [N, 3], bohr."""
    radii = COVALENT_RADII[atomic_numbers] / ANGSTROM_PER_BOHR
    beyond = np.linalg.norm(positions[:, None] - positions, axis=-1) - (radii[:, None] + radii)
    inverse = pseudo_inverse(coordinates.jacobian(positions))
    contacts = _contact_hessian(coordinates.bonds, beyond, positions, constants)
    return np.diag(_diagonal(coordinates, atomic_numbers, beyond, constants)) + inverse.T @ contacts @ inverse


def _diagonal(
    coordinates: RedundantCoordinates, atomic_numbers: np.ndarray, beyond: np.ndarray, constants: ForceConstants
) -> np.ndarray:
    hydrogen = atomic_numbers == 1
    i, j = coordinates.bonds.T
    heavier = np.maximum(atomic_numbers[i], atomic_numbers[j])
    kinds = np.select(
        [hydrogen[i] | hydrogen[j], heavier <= 10], [constants.bond_h, constants.bond_2], constants.bond_3
    )
    bonds = kinds * np.exp(-constants.bond_decay * beyond[i, j])
    i, _, k = coordinates.angles.T
    angles = np.array([constants.angle_0, constants.angle_1, constants.angle_2])[hydrogen[i].astype(int) + hydrogen[k]]
    _, j, k, _ = coordinates.torsions.T
    about = constants.torsion + constants.torsion_bond * np.exp(-constants.torsion_decay * beyond[j, k])
    _, axis, sharing = np.unique(j * len(atomic_numbers) + k, return_inverse=True, return_counts=True)
    return np.concatenate(
        [
            bonds,
            angles,
            np.full(2 * len(coordinates.straight), constants.bend),
            about / sharing[axis],
            np.full(len(coordinates.impropers), constants.improper),
            np.full(len(coordinates.directions), constants.direction),
        ]
    )


def _contact_hessian(
    bonds: np.ndarray, beyond: np.ndarray, positions: np.ndarray, constants: ForceConstants
) -> np.ndarray:
    """[3N, 3N] of springs at rest between atoms at least three bonds apart."""
    n = len(positions)
    bonded = np.zeros((n, n))
    bonded[bonds[:, 0], bonds[:, 1]] = bonded[bonds[:, 1], bonds[:, 0]] = 1
    apart = (bonded + bonded @ bonded + np.eye(n)) == 0
    strength = np.where(apart, constants.contact * np.exp(-constants.contact_decay * beyond), 0)
    unit = positions[:, None] - positions
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True) + np.eye(n)[..., None]
    blocks = -strength[..., None, None] * unit[..., :, None] * unit[..., None, :]  # [N, N, 3, 3]
    blocks[np.arange(n), np.arange(n)] = -blocks.sum(axis=1)
    return blocks.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)
