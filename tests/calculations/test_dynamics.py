"""Langevin dynamics: who survives, what ends it, and that a seed fixes it."""

from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem

from latent3d.base.errors import Failed
from latent3d.base.workers import Workers
from latent3d.calculations.dynamics.gfn2_force import Gfn2Force
from latent3d.calculations.dynamics.survival import dynamics_task, survival
from latent3d.calculations.gfn2.singlepoint import Gfn2
from latent3d.calculations.mechanics import Mechanics
from latent3d.data.molecules.molecules import Molecule
from latent3d.data.molecules.rdkit import from_rdkit, sanitised


def moved(molecule, positions):
    return replace(molecule, positions=np.asarray(positions, np.float32))


def stretched(molecule, factor):
    """Methane with its first hydrogen at `factor` times its distance."""
    positions = molecule.positions.copy()
    positions[1] = positions[0] + factor * (positions[1] - positions[0])
    return moved(molecule, positions)


@pytest.mark.parametrize("smiles", ["CCO", "CC(=O)O"])
def test_a_molecule_at_rest_survives(from_smiles, smiles):
    found = survival(from_smiles(smiles))
    assert found.survived and found.failure is None and found.failure_time is None


def test_a_charged_and_an_unbonded_molecule(from_smiles):
    # The charge comes from the graph: with 11 electrons instead of 10, GFN2 would refuse.
    assert survival(from_smiles("[NH4+]"), "gfn2", picoseconds=0.05).survived
    ethanol = from_smiles("CCO")
    assert survival(Molecule(ethanol.atomic_numbers, ethanol.positions), picoseconds=0.5).survived


@pytest.mark.parametrize("force_field", ["mmff94s", "gfn2"])
def test_one_criterion_for_both_force_fields(from_smiles, force_field):
    methane = from_smiles("C")
    # Covalent radii of C and H: 0.76 + 0.31 angstrom; the bond is 1.09, and broken beyond 1.34.
    assert survival(stretched(methane, 1.2), force_field, picoseconds=0).survived
    broken = survival(stretched(methane, 1.25), force_field)
    assert (broken.survived, broken.failure, broken.failure_time) == (False, "bond_broken", 0)
    pressed = methane.positions.copy()
    pressed[1] = pressed[2] + 0.1  # two hydrogens at one place
    assert survival(moved(methane, pressed), force_field).failure == "bond_formed"


@pytest.mark.parametrize("force_field", ["mmff94s", "gfn2"])
def test_heat_breaks_bonds(from_smiles, force_field):
    found = survival(from_smiles("C"), force_field, temperature=10_000, picoseconds=1)
    assert not found.survived and found.failure == "bond_broken" and 0 < found.failure_time < 1


def test_a_bad_geometry_does_not_survive_where_its_minimum_does(from_smiles):
    molecule = from_smiles("CC(C)(C)C")
    noise = np.random.default_rng(0).normal(0, 0.2, molecule.positions.shape)
    assert survival(molecule, picoseconds=1).survived
    assert not survival(moved(molecule, molecule.positions + noise), picoseconds=1).survived


def test_a_simulation_that_explodes_is_noticed(from_smiles):
    found = survival(from_smiles("CCO"), temperature=1e12)
    assert (found.survived, found.failure, found.failure_time) == (False, "exploded", 0.01)


def test_a_seed_fixes_the_simulation(from_smiles):
    def times(force_field, seeds, picoseconds):
        runs = (survival(from_smiles("C"), force_field, seed, picoseconds, 10_000) for seed in seeds)
        return [run.failure_time for run in runs]

    seeds = [0, 1, 2, (0, 1), (1, 0), (2, 0)]
    first = times("mmff94s", seeds, 1.0)
    assert times("mmff94s", reversed(seeds), 1.0) == first[::-1]
    assert len(set(first)) > 3
    assert times("gfn2", [0, 0], 1.0)[0] == times("gfn2", [0], 1.0)[0]


def test_gfn2_forces_in_openmm_units(from_smiles):
    mol = sanitised(from_smiles("CCO"))
    positions = mol.GetConformer().GetPositions() + np.random.default_rng(0).normal(0, 0.05, (mol.GetNumAtoms(), 3))
    mol.GetConformer().SetPositions(positions)
    energy, gradient = Mechanics(Gfn2Force(mol).system, positions).energy_and_gradient()
    direct = Gfn2(np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()]), positions).singlepoint(positions)
    assert energy == pytest.approx(direct.energy * 627.5095, rel=1e-7)
    assert gradient == pytest.approx(direct.gradient * 627.5095 / 0.529177211, rel=1e-5, abs=1e-3)


def test_boron_lives_under_gfn2_alone():
    mol = Chem.AddHs(Chem.MolFromSmiles("OB(O)O"))
    assert Chem.rdDistGeom.EmbedMolecule(mol, randomSeed=1) == 0
    assert survival(from_rdkit(mol), "gfn2", picoseconds=0.02).survived
    with pytest.raises(Failed, match="ff_untyped"):
        survival(from_rdkit(mol))


def test_a_failing_self_consistent_field_is_the_reason(from_smiles, monkeypatch):
    calls = []
    singlepoint = Gfn2.singlepoint

    def fail_later(self, positions):
        calls.append(positions)
        if len(calls) > 15:
            raise Failed("scf_failed")
        return singlepoint(self, positions)

    monkeypatch.setattr(Gfn2, "singlepoint", fail_later)
    with pytest.raises(Failed, match="scf_failed"):
        survival(from_smiles("C"), "gfn2", picoseconds=0.1)
    assert len(calls) == 16


def test_one_self_consistent_field_per_step(from_smiles, monkeypatch):
    calls = []
    singlepoint = Gfn2.singlepoint
    monkeypatch.setattr(Gfn2, "singlepoint", lambda self, x: calls.append(0) or singlepoint(self, x))
    survival(from_smiles("C"), "gfn2", picoseconds=0.1)
    assert len(calls) <= 101


def test_tasks_of_workers(from_smiles):
    methane = from_smiles("C")
    radical = replace(
        methane,
        atomic_numbers=methane.atomic_numbers[:-1],
        positions=methane.positions[:-1],
        bonds=methane.bonds[:-1],
        bond_orders=methane.bond_orders[:-1],
        formal_charges=methane.formal_charges[:-1],
    )
    tasks = [
        (methane, "mmff94s", (0, 0), 0.1),
        (radical, "gfn2", (0, 1), 0.1),
        (moved(methane, methane.positions * 0), "mmff94s", (0, 2), 0.1),
        (moved(methane, methane.positions * np.nan), "mmff94s", (0, 3), 0.1),
    ]
    with Workers(dynamics_task, 1, 60) as workers:
        outcomes = workers.map(tasks)
    assert [outcome.status for outcome in outcomes] == ["ok", "odd_electrons", "ok", "nan_coordinates"]
    assert outcomes[0].value == {"survived": True, "failure": None, "failure_time": None}
    assert outcomes[2].value == {"survived": False, "failure": "bond_formed", "failure_time": 0.0}
