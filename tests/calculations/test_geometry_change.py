"""What a relaxation has done to a geometry: known displacements, invariances, molecules that lack something."""

from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

from latent3d.calculations.gfn2.geometry_change import geometry_change
from latent3d.data.molecules.molecules import Molecule
from latent3d.data.molecules.rdkit import to_rdkit


def _bare(numbers, positions):
    return Molecule(np.array(numbers, np.uint8), np.array(positions, np.float32))


def test_nothing_changes_under_rigid_motion(from_smiles, rotation):
    molecule = from_smiles("N[C@@H](C)C(=O)O")
    change = geometry_change(molecule, molecule.positions.astype(float) @ rotation + 2.0)
    numbers = [change.rmsd_heavy, change.rmsd_all, change.bond_change, change.angle_change, change.torsion_change]
    assert numbers == pytest.approx([0] * 5, abs=2e-4)
    assert change.graph_survived


def test_a_reflection_is_no_rigid_motion(from_smiles):
    molecule = from_smiles("N[C@@H](C)C(=O)O")
    change = geometry_change(molecule, molecule.positions.astype(float) * [1, 1, -1])
    assert change.rmsd_heavy > 0.3 and change.torsion_change > 20
    assert change.bond_change == pytest.approx(0, abs=1e-6) and change.angle_change == pytest.approx(0, abs=1e-3)


def test_one_bond_and_one_torsion(from_smiles):
    molecule = from_smiles("CCO")
    mol = to_rdkit(molecule)
    Chem.SanitizeMol(mol)
    conformer = mol.GetConformer()
    length = rdMolTransforms.GetBondLength(conformer, 1, 2)
    rdMolTransforms.SetBondLength(conformer, 1, 2, length + 0.08)
    change = geometry_change(molecule, conformer.GetPositions())
    assert change.bond_change == pytest.approx(0.08 / 8, abs=1e-5)
    assert change.angle_change == pytest.approx(0, abs=1e-3)
    rdMolTransforms.SetBondLength(conformer, 1, 2, length)
    angle = rdMolTransforms.GetDihedralDeg(conformer, 0, 1, 2, 8)
    rdMolTransforms.SetDihedralDeg(conformer, 0, 1, 2, 8, angle - 350)
    change = geometry_change(molecule, conformer.GetPositions())
    # 9 + 3 torsions; three of them turn by 10 degrees, the shorter way round.
    assert change.torsion_change == pytest.approx(3 * 10 / 12, abs=1e-3)
    assert change.bond_change == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("smiles", ["CCO", "c1cc[nH]c1", "O=C1CC1", "C1C2CC1C2"])
def test_unknown_bonds_are_those_of_the_first_geometry(from_smiles, smiles):
    molecule = from_smiles(smiles)
    moved = molecule.positions + np.random.default_rng(0).normal(0, 0.05, molecule.positions.shape)
    bare = replace(molecule, bonds=None, bond_orders=None, formal_charges=None)
    known, perceived = geometry_change(molecule, moved), geometry_change(bare, moved)
    assert known.graph_survived and perceived.graph_survived
    assert perceived.bond_change == pytest.approx(known.bond_change, rel=1e-6)
    assert perceived.torsion_change == pytest.approx(known.torsion_change, rel=1e-6)


@pytest.mark.parametrize("bonds_known", [True, False])
def test_a_broken_and_a_formed_bond(from_smiles, bonds_known):
    molecule = from_smiles("CCO")
    if not bonds_known:
        molecule = _bare(molecule.atomic_numbers, molecule.positions)
    broken = molecule.positions.astype(float)
    broken[8] += [0, 0, 3.0]
    assert not geometry_change(molecule, broken).graph_survived
    formed = molecule.positions.astype(float)
    formed[8] = formed[3] + [0.0, 0.0, 0.5]
    assert not geometry_change(molecule, formed).graph_survived


def test_what_a_molecule_does_not_have_is_missing():
    hydrogen = geometry_change(_bare([1, 1], [[0, 0, 0], [0, 0, 0.74]]), np.array([[0, 0, 0], [0, 0, 0.76]]))
    assert np.isnan([hydrogen.rmsd_heavy, hydrogen.angle_change, hydrogen.torsion_change]).all()
    assert hydrogen.bond_change == pytest.approx(0.02, abs=1e-6) and hydrogen.rmsd_all == pytest.approx(0.01, abs=1e-6)
    atom = geometry_change(_bare([10], [[0, 0, 0]]), np.array([[1.0, 0, 0]]))
    assert np.isnan([atom.bond_change, atom.angle_change, atom.torsion_change]).all()
    assert atom.rmsd_heavy == atom.rmsd_all == 0 and atom.graph_survived
    # A straight molecule has angles and no torsions.
    line = np.outer([-1.66, -0.6, 0.6, 1.66], [1.0, 0, 0])
    acetylene = geometry_change(_bare([1, 6, 6, 1], line), line)
    assert acetylene.angle_change == pytest.approx(0, abs=0.1) and np.isnan(acetylene.torsion_change)
