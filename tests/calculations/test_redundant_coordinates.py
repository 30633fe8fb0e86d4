"""Redundant internal coordinates: derivatives, completeness, and which motions they see."""

import numpy as np
import pytest

from latent3d.calculations.gfn2.redundant_coordinates import RedundantCoordinates, connecting_bonds, pseudo_inverse
from latent3d.data.molecules.units import ANGSTROM_PER_BOHR

HCN = np.array([1, 6, 7]), np.array([[-1.07, 0, 0], [0, 0, 0], [1.15, 0, 0]])
BENT_HCN = np.array([1, 6, 7]), np.array([[-0.8, 0.8, 0], [0, 0, 0], [1.15, 0, 0]])
ACETYLENE = np.array([1, 6, 6, 1]), np.outer([-1.66, -0.6, 0.6, 1.66], [0.48, 0.6, 0.64])
FORMALDEHYDE = np.array([6, 8, 1, 1]), np.array([[0, 0, 0], [1.2, 0, 0], [-0.58, 0.94, 0], [-0.58, -0.94, 0]])
AMMONIA_FLAT = np.array([7, 1, 1, 1]), np.array([[0, 0, 0], [1, 0, 0], [-0.5, 0.866, 0], [-0.5, -0.866, 0]])
HELIUM_DIMER = np.array([2, 2]), np.array([[0, 0, 0], [0, 3.0, 0]])
LINE_OF_ARGON = np.array([18, 18, 18]), np.outer([0, 4.0, 8.5], [0, 0, 1.0])
CLOUD = np.full(14, 6), np.random.default_rng(0).normal(0, 0.9, (14, 3))


def _coordinates(molecule):
    numbers, positions = molecule
    x = positions / ANGSTROM_PER_BOHR
    return RedundantCoordinates(connecting_bonds(numbers, x), numbers, x), x


def _embedded(from_smiles, smiles):
    molecule = from_smiles(smiles)
    return molecule.atomic_numbers.astype(int), molecule.positions.astype(float)


def _two_waters(from_smiles):
    numbers, positions = _embedded(from_smiles, "O")
    return np.tile(numbers, 2), np.concatenate([positions, positions + np.array([0, 0, 4.0])])


@pytest.mark.parametrize("smiles", ["CCO", "c1ccccc1", "C#N", "CC#CC", "C[N+](=O)[O-]", "CC(C)(C)C", "O=C1CC1"])
def test_derivatives_against_finite_differences(from_smiles, smiles):
    coordinates, x = _coordinates(_embedded(from_smiles, smiles))
    # Bends along fixed axes turn with the molecule in the derivatives only; `straight` has a test of its own.
    ordinary = np.ones(len(coordinates.values(x)), bool)
    first = len(coordinates.bonds) + len(coordinates.angles)
    ordinary[first : first + 2 * len(coordinates.straight)] = False
    jacobian = coordinates.jacobian(x)
    for column in range(x.size):
        shift = np.zeros(x.size)
        shift[column] = 1e-4
        shift = shift.reshape(x.shape)
        change = coordinates.difference(coordinates.values(x + shift), coordinates.values(x - shift)) / 2e-4
        assert change[ordinary] == pytest.approx(jacobian[ordinary, column], abs=1e-6)


def test_bends_of_a_straight_molecule_against_finite_differences():
    coordinates, x = _coordinates(HCN)
    assert len(coordinates.straight) == 1 and not len(coordinates.angles)
    bend = np.array([[0, 0, 0], [0, 1e-4, 0], [0, 0, 0]])
    change = coordinates.difference(coordinates.values(x + bend), coordinates.values(x - bend)) / 2
    assert np.linalg.norm(coordinates.jacobian(x) @ bend.reshape(-1)) == pytest.approx(np.linalg.norm(change), rel=1e-6)


@pytest.mark.parametrize(
    "molecule", [HCN, BENT_HCN, ACETYLENE, FORMALDEHYDE, AMMONIA_FLAT, HELIUM_DIMER, LINE_OF_ARGON, CLOUD]
)
def test_every_motion_but_the_rigid_ones_is_seen(molecule):
    coordinates, x = _coordinates(molecule)
    jacobian = coordinates.jacobian(x)
    straight = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)[1] < 1e-6
    assert (np.linalg.eigvalsh(jacobian.T @ jacobian) > 1e-6).sum() == x.size - (5 if straight else 6)
    # Translations and rotations change nothing.
    assert jacobian @ np.tile([1.0, -2.0, 0.5], len(x)) == pytest.approx(0, abs=1e-9)
    assert jacobian @ np.cross([0.3, 1.0, -0.7], x - x.mean(axis=0)).reshape(-1) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("smiles", ["CC#CC", "CC#CC#CC", "C#CC#N", "CCO", "C1CC1", "FC(F)(F)F", "O=S(=O)(N)C"])
def test_every_motion_of_real_molecules_is_seen(from_smiles, smiles):
    coordinates, x = _coordinates(_embedded(from_smiles, smiles))
    jacobian = coordinates.jacobian(x)
    straight = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)[1] < 1e-2
    assert (np.linalg.eigvalsh(jacobian.T @ jacobian) > 1e-6).sum() == x.size - (5 if straight else 6)


def test_fragments_are_joined_once_by_their_nearest_atoms(from_smiles):
    numbers, positions = _two_waters(from_smiles)
    bonds = connecting_bonds(numbers, positions / ANGSTROM_PER_BOHR)
    assert len(bonds) == 5
    between = [(i, j) for i, j in bonds.tolist() if (i < 3) != (j < 3)]
    distances = np.linalg.norm(positions[:3, None] - positions[3:], axis=-1)
    assert len(between) == 1
    assert distances[between[0][0], between[0][1] - 3] < distances.min() + 0.5


def test_values_do_not_depend_on_orientation(from_smiles, rotation):
    coordinates, x = _coordinates(_embedded(from_smiles, "N[C@@H](C)C(=O)O"))
    assert not len(coordinates.directions)
    assert coordinates.values(x @ rotation + 3.0) == pytest.approx(coordinates.values(x))
    # A reflection turns every torsion round.
    torsions = slice(len(coordinates.bonds) + len(coordinates.angles), None)
    assert coordinates.values(x * [1, 1, -1])[torsions] == pytest.approx(-coordinates.values(x)[torsions])


def test_torsions_differ_the_shorter_way_round(from_smiles):
    coordinates, x = _coordinates(_embedded(from_smiles, "CCO"))
    first = len(coordinates.bonds) + len(coordinates.angles)
    start, end = coordinates.values(x), coordinates.values(x)
    start[first], end[first] = np.radians(179), np.radians(-179)
    assert coordinates.difference(end, start)[first] == pytest.approx(np.radians(2))
    start[0], end[0] = 1.0, 5.0
    assert coordinates.difference(end, start)[0] == 4.0


def test_an_angle_that_becomes_straight_makes_the_choice_stale():
    coordinates, x = _coordinates(BENT_HCN)
    assert len(coordinates.angles) == 1
    assert not coordinates.is_stale(x)
    assert coordinates.is_stale(HCN[1] / ANGSTROM_PER_BOHR)
    straight, _ = _coordinates(HCN)
    assert straight.is_stale(x)


def test_a_tangle_does_not_grow_out_of_bounds():
    numbers, positions = np.full(60, 6), np.random.default_rng(0).normal(0, 1.0, (60, 3))
    coordinates, x = _coordinates((numbers, positions))
    assert len(coordinates.values(x)) < 60 * 60


def test_pseudo_inverse(from_smiles):
    coordinates, x = _coordinates(_embedded(from_smiles, "C[C@H](O)F"))
    jacobian = coordinates.jacobian(x)
    assert pseudo_inverse(jacobian) == pytest.approx(np.linalg.pinv(jacobian, rcond=1e-6), abs=1e-8)
