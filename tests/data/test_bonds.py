import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from latent3d.base.errors import UserError
from latent3d.data.molecules.bonds import find_bonds, map_molecules, with_smiles_bonds
from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.perception import perceive_bonds
from latent3d.data.molecules.rdkit import canonical_smiles, from_rdkit, to_rdkit
from latent3d.data.molecules.smiles_match import match_smiles
from tasks import square

SMILES = ["O", "CC(=O)O", "c1ccoc1", "C#CC1CC1", "[NH3+]CC(=O)[O-]", "C[N+](=O)[O-]", "C1C2C3C1C23", "N#CC=O", "CF"]


def geometry(smiles, shuffle=0):
    """Coordinates alone, atoms in a random order."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(mol, randomSeed=3) == 0
    AllChem.UFFOptimizeMolecule(mol)
    full = from_rdkit(mol)
    order = np.random.default_rng(shuffle).permutation(len(full))
    return Molecule(full.atomic_numbers[order], full.positions[order])


def smiles_of(molecule):
    mol = to_rdkit(molecule)
    Chem.SanitizeMol(mol)
    assert not any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms())
    return canonical_smiles(mol)


@pytest.mark.parametrize("smiles", SMILES)
def test_smiles_is_laid_onto_shuffled_coordinates(smiles):
    bare = geometry(smiles)
    matched = match_smiles(bare, smiles)
    assert smiles_of(matched) == Chem.CanonSmiles(smiles)
    np.testing.assert_array_equal(matched.atomic_numbers, bare.atomic_numbers)
    assert matched.positions is bare.positions
    lengths = np.linalg.norm(bare.positions[matched.bonds[:, 0]] - bare.positions[matched.bonds[:, 1]], axis=1)
    assert lengths.max() < 1.7


def test_smiles_of_another_molecule_does_not_match():
    bare = geometry("CCO")
    assert match_smiles(bare, "COC") is None  # same formula
    assert match_smiles(bare, "CCN") is None
    assert match_smiles(bare, "CC(") is None
    assert match_smiles(bare, "") is None
    assert match_smiles(bare, "C" * 100000) is None
    assert match_smiles(replace(bare, positions=bare.positions * np.nan), "CCO") is None


def test_perceived_bonds_and_every_failure_status():
    for smiles in ("O", "CC(=O)O", "c1ccoc1", "C#CC1CC1"):
        molecule, status = perceive_bonds(geometry(smiles))
        assert status == "ok" and smiles_of(molecule) == Chem.CanonSmiles(smiles)
    water = geometry("O")
    cases = {
        "decode_failed": Molecule(np.zeros(0, np.uint8), np.zeros((0, 3), np.float32)),
        "nan_coordinates": replace(water, positions=water.positions * np.nan),
        "foreign_element": replace(water, atomic_numbers=np.array([0, 1, 1], np.uint8)),
        "odd_electrons": replace(water, atomic_numbers=np.array([7, 1, 1], np.uint8)),
        "too_large": Molecule(np.full(1000, 6, np.uint8), np.zeros((1000, 3), np.float32)),
        "sanitise_failed": replace(water, atomic_numbers=np.array([6, 1, 1], np.uint8)),
    }
    for expected, molecule in cases.items():
        same, status = perceive_bonds(molecule)
        assert status == expected and same is molecule


def test_perception_ends_on_a_molecule_with_endless_resonance():
    nitro = geometry("O=[N+]([O-])C([N+]([O-])=O)([N+]([O-])=O)C([N+]([O-])=O)([N+]([O-])=O)[N+]([O-])=O")
    started = time.monotonic()
    _, status = perceive_bonds(nitro)
    assert status in ("ok", "timeout") and time.monotonic() - started < 2


def test_find_bonds_keeps_then_matches_then_perceives():
    bare = geometry("CCO")
    matched, _ = find_bonds(bare, "CCO")
    assert find_bonds(matched, "COC") == (matched, "ok")
    perceived, status = find_bonds(bare, "COC")
    assert status == "ok" and smiles_of(perceived) == "CCO"
    zwitterion = geometry("[NH3+]CC(=O)[O-]")
    assert find_bonds(zwitterion, "[NH3+]CC(=O)[O-]")[0].formal_charges.sum() == 0


def test_number_of_processes_does_not_matter(monkeypatch):
    monkeypatch.setattr("latent3d.data.molecules.bonds.CHUNK", 5)
    molecules = from_list([geometry(s, k) for k, s in enumerate(SMILES)], pd.DataFrame({"smiles": SMILES}))
    one, two = with_smiles_bonds(molecules, 1), with_smiles_bonds(molecules, 2)
    assert one.bonds_known.all()
    np.testing.assert_array_equal(one.bonds, two.bonds)
    np.testing.assert_array_equal(one.bond_orders, two.bond_orders)


def test_a_killed_worker_is_said_not_counted_as_a_molecule(monkeypatch):
    monkeypatch.setattr("latent3d.data.molecules.bonds.CHUNK", 2)
    assert map_molecules(square, [3, 1, 4, 1, 5], "squares", 2) == [9, 1, 16, 1, 25]
    with pytest.raises(UserError, match="A worker process was killed, most likely for lack of memory"):
        map_molecules(square, [3, 1, -1, 1, 5], "squares", 2)
