"""The model Hessian: shape, invariances, and how near it is to that of GFN2-xTB."""

import numpy as np
import pytest
from scipy.linalg import eigh

from latent3d.calculations.gfn2.model_hessian import model_hessian
from latent3d.calculations.gfn2.redundant_coordinates import RedundantCoordinates, connecting_bonds
from latent3d.calculations.gfn2.relaxation import relax
from latent3d.calculations.gfn2.singlepoint import Gfn2
from latent3d.data.molecules.units import ANGSTROM_PER_BOHR
from mini.vibrations import hessian


def _cartesian(numbers, positions):
    """[3N, 3N] hartree/bohr^2 at positions in angstrom."""
    x = positions / ANGSTROM_PER_BOHR
    coordinates = RedundantCoordinates(connecting_bonds(numbers, x), numbers, x)
    jacobian = coordinates.jacobian(x)
    return jacobian.T @ model_hessian(coordinates, numbers, x) @ jacobian


def _atoms(molecule):
    return molecule.atomic_numbers.astype(int), molecule.positions.astype(float)


@pytest.mark.parametrize("smiles", ["CCO", "C#N", "CC#CC", "c1ccccc1", "C[N+](=O)[O-]"])
def test_positive_but_for_rigid_motions(from_smiles, smiles):
    numbers, positions = _atoms(from_smiles(smiles))
    matrix = _cartesian(numbers, positions)
    assert matrix == pytest.approx(matrix.T)
    curvatures = np.linalg.eigvalsh(matrix)
    rigid = 5 if smiles == "C#N" else 6
    assert np.abs(curvatures[:rigid]).max() < 1e-9 and curvatures[rigid] > 5e-4
    assert curvatures[-1] < 3


def test_it_turns_with_the_molecule(from_smiles, rotation):
    numbers, positions = _atoms(from_smiles("C[C@H](O)F"))
    turn = np.kron(np.eye(len(numbers)), rotation)
    assert _cartesian(numbers, positions @ rotation) == pytest.approx(turn.T @ _cartesian(numbers, positions) @ turn)


def test_the_order_of_atoms_does_not_matter(from_smiles):
    numbers, positions = _atoms(from_smiles("COC=O"))
    order = np.random.default_rng(0).permutation(len(numbers))
    expected = _cartesian(numbers, positions).reshape(len(numbers), 3, len(numbers), 3)[order][:, :, order]
    assert _cartesian(numbers[order], positions[order]) == pytest.approx(expected.reshape(3 * len(numbers), -1))


@pytest.mark.parametrize("smiles", ["CCO", "CC(=O)O", "c1cc[nH]c1", "C[C@H](O)F"])
def test_it_is_near_that_of_gfn2(from_smiles, smiles):
    numbers, positions = _atoms(from_smiles(smiles))
    positions = relax(numbers, positions, gradient_norm=1e-4).positions
    model, true = _cartesian(numbers, positions), hessian(Gfn2(numbers, positions), positions)
    vectors = np.linalg.eigh(model)[1][:, 6:]
    ratios = eigh(vectors.T @ true @ vectors, vectors.T @ model @ vectors, eigvals_only=True)
    # Of the 100 molecules that the constants are fitted to, half of the ratios are within 0.80 and 1.28.
    assert 0.7 < np.median(ratios) < 1.3
    assert np.mean((ratios > 0.5) & (ratios < 2)) > 0.8
