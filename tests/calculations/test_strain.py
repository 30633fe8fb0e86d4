"""MMFF94s strain against RDKit's minimiser, its invariances, and what has no strain."""

from dataclasses import replace

import numpy as np
import pytest
from rdkit.Chem import AllChem

from latent3d.base.errors import Failed
from latent3d.base.workers import Outcome, Workers
from latent3d.calculations.mechanics import Mechanics
from latent3d.calculations.mmff.strain import strain, strain_task
from latent3d.calculations.mmff.system import mmff_system
from latent3d.data.molecules.molecules import Molecule
from latent3d.data.molecules.parquet import read_parquet
from latent3d.data.molecules.rdkit import sanitised


def moved(molecule, positions):
    return replace(molecule, positions=np.asarray(positions, np.float32))


def shaken(molecule, noise=0.1):
    return moved(molecule, molecule.positions + np.random.default_rng(0).normal(0, noise, molecule.positions.shape))


def strain_by_rdkit(molecule):
    mol = sanitised(molecule)
    properties = AllChem.MMFFGetMoleculeProperties(mol, mmffVariant="MMFF94s")
    field = AllChem.MMFFGetMoleculeForceField(mol, properties)
    raw = field.CalcEnergy()
    assert field.Minimize(maxIts=10_000, forceTol=1e-6, energyTol=1e-12) == 0
    return raw - field.CalcEnergy()


@pytest.mark.parametrize("smiles", ["CCO", "c1cc[nH]c1", "C[N+](=O)[O-]", "N[C@@H](C)C(=O)O", "C#CC", "CS(C)(=O)=O"])
def test_strain_is_the_energy_above_the_minimum(from_smiles, smiles):
    molecule = shaken(from_smiles(smiles), 0.05)
    found = strain(molecule)
    assert found.strain == pytest.approx(strain_by_rdkit(molecule), abs=1e-3)
    assert found.strain > 1 and 0.01 < found.rmsd_heavy < 0.5 and 0.01 < found.rmsd_all < 0.5


def test_a_minimum_has_none(from_smiles):
    found = strain(from_smiles("c1ccccc1"))
    assert found.strain == pytest.approx(0, abs=1e-3)
    assert found.rmsd_all == pytest.approx(0, abs=5e-3)


def test_strain_does_not_depend_on_place_orientation_or_numbering(from_smiles, rotation):
    molecule = shaken(from_smiles("CC(=O)O"), 0.05)
    expected = strain(molecule)
    order = np.random.default_rng(0).permutation(len(molecule))
    renumbered = Molecule(
        molecule.atomic_numbers[order],
        molecule.positions[order],
        np.argsort(order)[molecule.bonds].astype(np.int16),
        molecule.bond_orders,
        molecule.formal_charges[order],
    )
    for other in (moved(molecule, molecule.positions @ rotation + [30, -20, 10]), renumbered):
        found = strain(other)
        assert found.strain == pytest.approx(expected.strain, abs=1e-3)
        assert found.rmsd_all == pytest.approx(expected.rmsd_all, abs=2e-3)


def test_unknown_bonds_are_perceived(from_smiles):
    molecule = shaken(from_smiles("CCO"), 0.05)
    bare = Molecule(molecule.atomic_numbers, molecule.positions)
    assert strain(bare).strain == pytest.approx(strain(molecule).strain, abs=1e-6)


def test_what_has_no_strain_has_a_reason(from_smiles):
    ethanol = from_smiles("CCO")
    coinciding = ethanol.positions.copy()
    coinciding[1] = coinciding[0]
    selenium = replace(ethanol, atomic_numbers=np.where(ethanol.atomic_numbers == 8, 34, ethanol.atomic_numbers))
    cases = {
        "nan_coordinates": moved(ethanol, ethanol.positions * np.nan),
        "decode_failed": Molecule(np.zeros(0, np.uint8), np.zeros((0, 3), np.float32)),
        "sanitise_failed": replace(ethanol, bond_orders=np.full_like(ethanol.bond_orders, 3)),
        "ff_untyped": selenium,
        "ff_unconverged": moved(ethanol, coinciding),
        "odd_electrons": Molecule(ethanol.atomic_numbers[:-1], ethanol.positions[:-1]),
    }
    with Workers(strain_task, 1, 60) as workers:
        outcomes = workers.map([*cases.values(), moved(ethanol, ethanol.positions * 0), ethanol])
    assert [outcome.status for outcome in outcomes] == [*cases, "ff_unconverged", "ok"]
    assert outcomes[0] == Outcome("nan_coordinates")
    assert set(outcomes[-1].value) == {"strain", "rmsd_heavy", "rmsd_all"}


@pytest.mark.parametrize("size", [0.01, 1.0, 100.0])
def test_a_heap_of_atoms_ends_in_a_number_or_a_reason(from_smiles, size):
    molecule = from_smiles("CC(C)(C)C")
    heap = moved(molecule, np.random.default_rng(0).normal(0, size, molecule.positions.shape))
    try:
        assert np.isfinite(strain(heap).strain)
    except Failed as failed:
        assert failed.reason == "ff_unconverged"


def test_an_unfinished_minimisation_is_not_believed(from_smiles):
    molecule = shaken(from_smiles("CCO"))
    with pytest.raises(Failed, match="ff_unconverged"):
        Mechanics(mmff_system(sanitised(molecule)), molecule.positions.astype(float)).minimise(0.01, max_iterations=2)


def test_strain_of_real_molecules(mirror):
    # Geometries of another method (B3LYP) are strained, but far less than noise of 0.1 angstrom makes them.
    molecules = read_parquet(mirror / "qm9" / "qm9_geometries.parquet").split("test")
    values = []
    for i in range(0, len(molecules), len(molecules) // 40):
        try:
            values.append(strain(molecules[i]).strain)
        except Failed as failed:
            assert failed.reason == "sanitise_failed"
    assert len(values) > 30 and 2 < np.median(values) < 7
