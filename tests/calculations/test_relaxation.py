"""Relaxation: minima, their invariances, failures; beside the xtb program where it is installed."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from latent3d.base.errors import Failed
from latent3d.base.workers import Workers
from latent3d.calculations.gfn2.relaxation import ENERGY_CHANGE, GRADIENT_NORM, relax, relaxation_task
from latent3d.calculations.gfn2.singlepoint import Gfn2
from latent3d.data.molecules.molecules import ELEMENTS, Molecule
from latent3d.data.molecules.rdkit import from_rdkit
from latent3d.data.molecules.units import KCAL_PER_HARTREE

WATER = np.array([8, 1, 1]), np.array([[0.00783, 0.39774, 0.0], [-0.76723, -0.18385, 0.0], [0.75941, -0.21389, 0.0]])
METHYL = np.array([6, 1, 1, 1]), np.array([[0, 0, 0.2], [1.1, 0, 0], [-0.54, 0.935, 0], [-0.54, -0.95, 0]])
SMILES = ["CCO", "c1cc[nH]c1", "C[C@H](O)F", "CC#CC", "C[N+](=O)[O-]", "CS(=O)(=O)NCCCl", "O=C(O)c1ccccc1Br"]


def _distorted(molecule, seed=0, size=0.05):
    positions = molecule.positions.astype(float)
    return positions + np.random.default_rng(seed).normal(0, size, positions.shape)


def _line(numbers, *heights):
    return np.array(numbers), np.outer(heights, [0, 0.6, 0.8])


def _dihedral(mol, positions, atoms):
    conformer = Chem.Conformer(len(positions))
    conformer.SetPositions(positions)
    return Chem.rdMolTransforms.GetDihedralDeg(conformer, *atoms)


@pytest.mark.parametrize("smiles", SMILES)
def test_what_has_converged_is_stationary(from_smiles, smiles):
    molecule = from_smiles(smiles)
    positions = _distorted(molecule)
    found = relax(molecule.atomic_numbers, positions)
    assert found.converged and found.steps < 40
    assert found.end.energy < found.start.energy - 1e-3
    fresh = [Gfn2(molecule.atomic_numbers, x).singlepoint(x) for x in (positions, found.positions)]
    assert found.start.energy == fresh[0].energy
    assert found.end.energy == pytest.approx(fresh[1].energy, abs=1e-7)
    assert found.gradient_norm == pytest.approx(np.linalg.norm(fresh[1].gradient), abs=1e-4)
    assert found.gradient_norm <= GRADIENT_NORM
    tight = relax(molecule.atomic_numbers, found.positions, energy_change=1e-8, gradient_norm=5e-5)
    assert found.end.energy - tight.end.energy < 2 * ENERGY_CHANGE


@pytest.mark.parametrize("smiles", ["CCO", "c1cc[nH]c1", "O=C1CC1", "CC#CC"])
def test_distorted_molecules_come_back_to_one_minimum(from_smiles, smiles):
    molecule = from_smiles(smiles)
    energies = [relax(molecule.atomic_numbers, _distorted(molecule, seed)).end.energy for seed in range(4)]
    assert np.ptp(energies) < 2 * ENERGY_CHANGE


def test_rotation_and_order_of_atoms_do_not_matter(from_smiles, rotation):
    molecule = from_smiles("N[C@@H](C)C(=O)O")
    positions, order = _distorted(molecule), np.random.default_rng(1).permutation(len(molecule))
    found = relax(molecule.atomic_numbers, positions)
    turned = relax(molecule.atomic_numbers, positions @ rotation + 4.0)
    permuted = relax(molecule.atomic_numbers[order], positions[order])
    assert turned.end.energy == pytest.approx(found.end.energy, abs=1e-6)
    assert permuted.end.energy == pytest.approx(found.end.energy, abs=1e-6)
    mirrored = relax(molecule.atomic_numbers, positions * [1, 1, -1])
    assert mirrored.end.energy == pytest.approx(found.end.energy, abs=1e-6)


def test_repeats_are_equal_to_the_last_bit_whatever_came_before(from_smiles):
    tasks = [(from_smiles(smiles), 0) for smiles in SMILES]
    with Workers(relaxation_task, 2, 60.0) as workers:
        outcomes = [workers.map(order) for order in (tasks, tasks[::-1])]
    here = [relaxation_task(task) for task in tasks]
    assert [outcome.status for outcome in outcomes[0]] == ["ok"] * len(tasks)
    # As text, in which NaN equals NaN.
    assert repr([outcome.value for outcome in outcomes[0]]) == repr(here)
    assert repr([outcome.value for outcome in outcomes[1][::-1]]) == repr(here)


def test_the_conformer_is_kept():
    mol = Chem.AddHs(Chem.MolFromSmiles("CCCC"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    for angle, expected in ((70.0, 65), (170.0, 180), (-70.0, -65)):
        Chem.rdMolTransforms.SetDihedralDeg(mol.GetConformer(), 0, 1, 2, 3, angle)
        found = relax(from_rdkit(mol).atomic_numbers, mol.GetConformer().GetPositions())
        turned = _dihedral(mol, found.positions, (0, 1, 2, 3))
        assert found.converged and abs((turned - expected + 180) % 360 - 180) < 8


@pytest.mark.parametrize(("start", "other"), [(0.5, 1.3), (0.7, 1.1)])
def test_stretched_and_squeezed_hydrogen(start, other):
    ends = [relax(*_line([1, 1], 0, length)) for length in (start, other)]
    assert all(end.converged for end in ends)
    assert ends[0].end.energy == pytest.approx(ends[1].end.energy, abs=1e-6)
    lengths = [np.linalg.norm(end.positions[0] - end.positions[1]) for end in ends]
    assert lengths == pytest.approx([0.777, 0.777], abs=0.003)


def test_an_atom_has_nowhere_to_go():
    found = relax(np.array([10]), np.array([[1.0, 2.0, 3.0]]))
    assert found.converged and found.steps == 0
    assert found.positions == pytest.approx(np.array([[1.0, 2.0, 3.0]]))
    assert found.end.energy == found.start.energy


@pytest.mark.parametrize(
    "molecule",
    [_line([1, 6, 7], -1.2, 0, 1.1), _line([1, 6, 6, 1], -1.8, -0.6, 0.65, 1.6), _line([8, 6, 8], -1.3, 0, 1.1)],
)
@pytest.mark.parametrize("size", [0.0, 0.1])
def test_linear_molecules_end_linear(molecule, size):
    numbers, positions = molecule
    bent = positions + np.random.default_rng(3).normal(0, size, positions.shape)
    found = relax(numbers, bent)
    assert found.converged and found.steps < 15
    assert found.end.energy == pytest.approx(relax(numbers, positions).end.energy, abs=1e-5)
    assert np.linalg.svd(found.positions - found.positions.mean(axis=0), compute_uv=False)[1] < 0.05


def test_a_bent_molecule_becomes_straight():
    numbers, positions = np.array([1, 6, 7]), np.array([[-0.6, 0.9, 0], [0, 0, 0], [1.15, 0, 0]])
    found = relax(numbers, positions)
    assert found.converged
    assert found.end.energy == pytest.approx(relax(*_line(numbers, -1.07, 0, 1.15)).end.energy, abs=1e-5)


def test_a_planar_centre_without_torsions_becomes_planar():
    numbers = np.array([6, 8, 1, 1])
    positions = np.array([[0, 0, 0.3], [1.2, 0, 0], [-0.58, 0.94, 0], [-0.58, -0.94, 0]])
    found = relax(numbers, positions)
    assert found.converged
    assert np.linalg.svd(found.positions - found.positions.mean(axis=0), compute_uv=False)[2] < 0.02


def test_two_molecules_find_their_hydrogen_bond():
    numbers, one = WATER
    positions = np.concatenate([one, one + np.array([0.3, 3.2, 0.4])])
    found = relax(np.tile(numbers, 2), positions)
    alone = relax(numbers, one).end.energy
    assert found.converged
    assert -0.012 < found.end.energy - 2 * alone < -0.004


def test_a_radical_is_a_doublet_and_an_ion_has_its_charge():
    numbers, positions = METHYL
    with pytest.raises(Failed, match="odd_electrons"):
        relax(numbers, positions)
    radical, cation = relax(numbers, positions, unpaired=1), relax(numbers, positions, charge=1)
    assert radical.converged and cation.converged
    assert cation.end.energy > radical.end.energy + 0.2
    molecule = Molecule(numbers.astype(np.uint8), positions.astype(np.float32))
    assert relaxation_task((molecule, 0))["energy_relaxed"] == pytest.approx(radical.end.energy, abs=1e-6)
    assert relaxation_task((molecule, 1))["energy_relaxed"] == pytest.approx(cation.end.energy, abs=1e-6)


def test_what_the_task_measures(from_smiles):
    molecule = from_smiles("CCO")
    row = relaxation_task((molecule, 0))
    found = relax(molecule.atomic_numbers, molecule.positions)
    point = Gfn2(molecule.atomic_numbers, found.positions).singlepoint(found.positions)
    gained = (found.start.energy - found.end.energy) * KCAL_PER_HARTREE
    assert row["energy_relaxed"] == found.end.energy and row["steps"] == found.steps
    assert row["relaxation_energy"] == pytest.approx(gained)
    assert 0.3 < row["relaxation_energy"] < 3.0
    assert row["relaxation_energy_per_atom"] == pytest.approx(gained / 9)
    assert row["dipole_relaxed"] == pytest.approx(point.dipole, abs=1e-3)
    assert row["gap_relaxed"] == pytest.approx(point.gap, abs=1e-3)
    assert row["gap_relaxed"] == pytest.approx(row["lumo_relaxed"] - row["homo_relaxed"])
    assert 0.001 < row["rmsd_heavy"] < row["rmsd_all"] < 0.1
    assert row["graph_survived"]


@pytest.mark.parametrize(
    ("numbers", "positions", "charge", "reason"),
    [
        ([1, 1], [[0, 0, 0], [0, 0, 0]], 0, "scf_failed"),
        ([8, 1, 1], WATER[1] * 0, 0, "scf_failed"),
        ([1, 1], [[0, 0, 0], [0, 0, np.nan]], 0, "nan_coordinates"),
        ([0, 8], [[0, 0, 0], [0, 0, 1]], 0, "foreign_element"),
        ([1, 1], [[0, 0, 0], [0, 0, 1]], 2, "scf_failed"),
        # Two cations fly apart for ever.
        ([11, 11], [[0, 0, 0], [0, 0, 4]], 2, "opt_unconverged"),
    ],
)
def test_what_cannot_be_relaxed_has_a_reason(numbers, positions, charge, reason):
    molecule = Molecule(np.array(numbers, np.uint8), np.array(positions, np.float32))
    with pytest.raises(Failed, match=reason):
        relaxation_task((molecule, charge))


def test_a_cloud_of_atoms_ends_in_an_answer():
    numbers = np.array([6] * 6 + [8] * 2 + [1] * 6, np.uint8)
    for seed in range(3):
        positions = np.random.default_rng(seed).normal(0, 1.2, (len(numbers), 3)).astype(np.float32)
        try:
            row = relaxation_task((Molecule(numbers, positions), 0))
            assert row["relaxation_energy"] > 0 and not row["graph_survived"]
        except Failed as failed:
            assert failed.reason in ("scf_failed", "opt_unconverged")


def test_too_few_steps_are_no_convergence(from_smiles):
    molecule = from_smiles("CCO")
    found = relax(molecule.atomic_numbers, _distorted(molecule), max_steps=2)
    assert not found.converged and found.steps == 2
    assert found.end.energy < found.start.energy


def _xtb(folder, numbers, positions, *arguments):
    """Total energy (hartree) of the xtb program."""
    lines = [f"{ELEMENTS[z]} {' '.join(f'{x:.12f}' for x in atom)}" for z, atom in zip(numbers, positions, strict=True)]
    (folder / "molecule.xyz").write_text("\n".join([str(len(lines)), "", *lines, ""]))
    command = ["xtb", "molecule.xyz", *arguments]
    output = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    return float(re.findall(r"TOTAL ENERGY\s+(-?[\d.]+)", output)[-1])


xtb = pytest.mark.skipif(shutil.which("xtb") is None, reason="the xtb program is not installed")


@xtb
@pytest.mark.parametrize("smiles", SMILES)
def test_single_points_are_those_of_the_xtb_program(from_smiles, tmp_path, smiles):
    molecule = from_smiles(smiles)
    positions = _distorted(molecule)
    ours = Gfn2(molecule.atomic_numbers, positions).singlepoint(positions).energy
    assert ours == pytest.approx(_xtb(tmp_path, molecule.atomic_numbers, positions), abs=1e-6)


@xtb
@pytest.mark.parametrize(("charge", "unpaired"), [(0, 1), (1, 0), (-1, 0)])
def test_ions_and_radicals_are_those_of_the_xtb_program(tmp_path, charge, unpaired):
    numbers, positions = METHYL
    ours = Gfn2(numbers, positions, charge, unpaired).singlepoint(positions).energy
    theirs = _xtb(tmp_path, numbers, positions, "--chrg", str(charge), "--uhf", str(unpaired))
    assert ours == pytest.approx(theirs, abs=1e-6)


@xtb
@pytest.mark.parametrize("smiles", SMILES)
def test_minima_are_those_of_the_xtb_program(from_smiles, tmp_path, smiles):
    molecule = from_smiles(smiles)
    ours = relax(molecule.atomic_numbers, molecule.positions).end.energy
    theirs = _xtb(tmp_path, molecule.atomic_numbers, molecule.positions.astype(float), "--opt", "tight")
    assert (ours - theirs) * KCAL_PER_HARTREE < 0.02
