"""GFN2-xTB single points, gradients, optimisation, frequencies and heat capacities."""

import numpy as np
import pytest

from latent3d.base.errors import Failed
from latent3d.calculations.gfn2.singlepoint import Gfn2
from latent3d.data.molecules.units import ANGSTROM_PER_BOHR
from mini.optimise import model_hessian, optimise
from mini.vibrations import R, heat_capacity, hessian, is_linear, normal_modes

WATER = np.array([8, 1, 1]), np.array([[0.00783, 0.39774, 0.0], [-0.76723, -0.18385, 0.0], [0.75941, -0.21389, 0.0]])
FURAN = (
    np.array([6, 6, 6, 8, 6, 1, 1, 1, 1]),
    np.array(
        [
            [-0.974, 0.2559, 0.20909],
            [0.22913, 0.99628, 0.11314],
            [1.21371, 0.08758, -0.1981],
            [0.69126, -1.16206, -0.29904],
            [-0.6395, -1.05285, -0.0503],
            [-1.9625, 0.62775, 0.43853],
            [0.36401, 2.05944, 0.25299],
            [2.27797, 0.16415, -0.37185],
            [-1.20007, -1.97618, -0.09446],
        ]
    ),
)
HCN = np.array([1, 6, 7]), np.array([[-1.07, 0, 0], [0, 0, 0], [1.15, 0, 0]])


@pytest.mark.parametrize(("molecule", "energy"), [(WATER, -5.07020801), (FURAN, -14.64367676)])
def test_energies_agree_with_the_xtb_program(molecule, energy):
    # Values of the xtb command line 6.5.1 at these MMFF94 geometries.
    numbers, positions = molecule
    assert Gfn2(numbers, positions).singlepoint(positions).energy == pytest.approx(energy, abs=1e-6)


def test_properties_of_water():
    point = Gfn2(*WATER).singlepoint(WATER[1])
    assert point.dipole == pytest.approx(2.287, abs=0.002)
    assert point.homo == pytest.approx(-12.166, abs=0.002)
    assert point.gap == pytest.approx(point.lumo - point.homo)


def test_dipole_points_do_not_depend_on_orientation_or_origin():
    numbers, positions = FURAN
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    moved = positions @ rotation + 5.0
    here, there = (Gfn2(numbers, x).singlepoint(x) for x in (positions, moved))
    assert here.energy == pytest.approx(there.energy, abs=1e-8)
    assert here.dipole == pytest.approx(there.dipole, abs=1e-4)


def test_gradient_is_the_derivative_of_the_energy():
    numbers, positions = WATER
    molecule = Gfn2(numbers, positions)
    gradient = molecule.singlepoint(positions).gradient
    step = 1e-3
    for atom, axis in [(0, 1), (1, 0), (2, 1)]:
        shift = np.zeros((3, 3))
        shift[atom, axis] = step * ANGSTROM_PER_BOHR
        difference = molecule.singlepoint(positions + shift).energy - molecule.singlepoint(positions - shift).energy
        assert gradient[atom, axis] == pytest.approx(difference / (2 * step), abs=2e-6)


def test_restarting_from_a_density_does_not_change_the_energy():
    numbers, positions = FURAN
    restarted = Gfn2(numbers, positions)
    restarted.singlepoint(positions + np.random.default_rng(0).normal(0, 0.05, positions.shape))
    fresh = Gfn2(numbers, positions).singlepoint(positions)
    assert restarted.singlepoint(positions).energy == pytest.approx(fresh.energy, abs=1e-6)


def test_optimisation_ends_in_a_minimum():
    numbers, positions = FURAN
    molecule = Gfn2(numbers, positions)
    start = molecule.singlepoint(positions).energy
    found = optimise(molecule, positions)
    assert found.single_point.energy < start - 1e-3
    assert found.largest_force < 2e-4
    distorted = positions + np.random.default_rng(1).normal(0, 0.05, positions.shape)
    again = optimise(Gfn2(numbers, distorted), distorted)
    assert again.single_point.energy == pytest.approx(found.single_point.energy, abs=1e-5)


def test_model_hessian_is_positive_definite_also_for_a_linear_molecule():
    matrix = model_hessian(HCN[1] / ANGSTROM_PER_BOHR)
    assert np.allclose(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() > 0.02


@pytest.mark.parametrize(("molecule", "rotation", "modes"), [(WATER, 1.5, 3), (HCN, 1.0, 4)])
def test_heat_capacity_against_a_hand_computation(molecule, rotation, modes):
    numbers, positions = molecule
    calculator = Gfn2(numbers, positions)
    positions = optimise(calculator, positions).positions
    wavenumbers, vectors = normal_modes(hessian(calculator, positions), numbers, positions)
    assert len(wavenumbers) == modes and vectors.shape == (modes, 3, 3)
    by_hand = (1.5 + rotation) * 1.98720425864
    for wavenumber in wavenumbers:
        x = 6.62607015e-34 * 2.99792458e10 * wavenumber / (1.380649e-23 * 298.15)
        by_hand += 1.98720425864 * x**2 * np.exp(x) / (np.exp(x) - 1) ** 2
    assert heat_capacity(wavenumbers, positions) == pytest.approx(by_hand, abs=1e-4)
    # Gas phase experiment: water 6.0, HCN 6.6 cal/mol/K; GFN2's frequencies are within a few percent.
    assert by_hand == pytest.approx({3: 6.0, 4: 6.6}[modes], abs=0.4)


def test_heat_capacity_of_an_atom_and_of_free_and_frozen_modes():
    assert heat_capacity(np.zeros(0), np.zeros((1, 3))) == pytest.approx(1.5 * R)
    pair = np.array([[0, 0, 0], [0, 0, 1.0]])
    assert heat_capacity(np.array([0.01]), pair) == pytest.approx(3.5 * R, rel=1e-6)
    assert heat_capacity(np.array([50000.0]), pair) == pytest.approx(2.5 * R)
    with pytest.raises(ValueError, match="imaginary"):
        heat_capacity(np.array([-100.0]), pair)


def test_linear_or_not():
    line = np.outer(np.arange(4), [0.3, -1.0, 0.7])
    assert is_linear(line) and is_linear(HCN[1]) and not is_linear(WATER[1])


def test_methyl_radical_needs_its_unpaired_electron():
    numbers = np.array([6, 1, 1, 1])
    positions = np.array([[0, 0, 0], [1.08, 0, 0], [-0.54, 0.935, 0], [-0.54, -0.935, 0]])
    with pytest.raises(Failed, match="odd_electrons"):
        Gfn2(numbers, positions)
    assert Gfn2(numbers, positions, unpaired=1).singlepoint(positions).energy == pytest.approx(-3.6, abs=0.2)
    assert Gfn2(numbers, positions, charge=1).singlepoint(positions).energy > -3.6


@pytest.mark.parametrize(
    ("numbers", "positions", "reason"),
    [
        ([1, 1], [[0, 0, 0], [0, 0, 0]], "scf_failed"),
        ([1, 1], [[0, 0, 0], [0, 0, np.nan]], "nan_coordinates"),
        ([0, 8], [[0, 0, 0], [0, 0, 1]], "foreign_element"),
        ([95, 1], [[0, 0, 0], [0, 0, 1]], "foreign_element"),
    ],
)
def test_what_cannot_be_computed_has_a_reason(numbers, positions, reason):
    positions = np.array(positions, dtype=float)
    with pytest.raises(Failed, match=reason):
        Gfn2(np.array(numbers), positions).singlepoint(positions)
