"""Enumeration of small molecules against sets that can be counted by hand."""

import pytest
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from mini.chemistry import is_reasonable, unreasonable_groups
from mini.enumeration import enumerate_molecules, hydrocarbons, skeletons


def _of_formula(formula, heavy_atoms):
    return {s for s in enumerate_molecules(heavy_atoms) if CalcMolFormula(Chem.MolFromSmiles(s)) == formula}


def test_alkanes_and_cycloalkanes():
    assert _of_formula("C4H10", 4) == {"CCCC", "CC(C)C"}
    assert _of_formula("C5H12", 5) == {"CCCCC", "CCC(C)C", "CC(C)(C)C"}
    # 1, 1, 1, 2, 3, 5 alkanes of one to six carbons.
    acyclic = [[s for s in skeletons(n) if "1" not in s] for n in range(1, 7)]
    assert [len(found) for found in acyclic] == [1, 1, 1, 2, 3, 5]
    assert {s for s in skeletons(5) if s.count("1") == 2 and "2" not in s} == {
        "C1CCCC1",
        "CC1CCC1",
        "CC1CC1C",
        "CCC1CC1",
        "CC1(C)CC1",
    }


def test_isomers_with_one_heteroatom_or_double_bond():
    assert _of_formula("C4H10O", 5) == {"CCCCO", "CCC(C)O", "CC(C)CO", "CC(C)(C)O", "CCOCC", "CCCOC", "COC(C)C"}
    assert _of_formula("C3H9N", 4) == {"CCCN", "CC(C)N", "CCNC", "CN(C)C"}
    assert _of_formula("C4H9F", 5) == {"CCCCF", "CCC(C)F", "CC(C)CF", "CC(C)(C)F"}
    assert _of_formula("C4H8", 4) == {"C=CCC", "CC=CC", "C=C(C)C", "C1CCC1", "CC1CC1"}
    assert set(hydrocarbons(2)) == {"CC", "C=C", "C#C"}


def test_aromatic_rings_are_found():
    assert {"c1ccccc1", "c1ccncc1", "c1cncnc1", "Cc1ccoc1"} <= set(enumerate_molecules(6))
    assert {"c1ccoc1", "c1cc[nH]c1", "c1c[nH]cn1", "c1cn[nH]c1"} <= set(enumerate_molecules(5))


def test_every_molecule_is_neutral_connected_and_of_the_right_size():
    molecules = enumerate_molecules(5)
    assert len(set(molecules)) == len(molecules)
    for smiles in molecules:
        mol = Chem.MolFromSmiles(smiles)
        assert mol.GetNumAtoms() == 5 and "." not in smiles and Chem.MolToSmiles(mol) == smiles
        assert {atom.GetAtomicNum() for atom in mol.GetAtoms()} <= {6, 7, 8, 9}
        assert all(atom.GetFormalCharge() == 0 and atom.GetNumRadicalElectrons() == 0 for atom in mol.GetAtoms())


@pytest.mark.parametrize(
    ("smiles", "why"),
    [
        ("C=C=C", "allene"),
        ("COOC", "peroxide"),
        ("CN=NC", "azo"),
        ("CC(O)O", "geminal diol"),
        ("C=C(C)O", "enol"),
        ("CC(=N)C", "imine with hydrogen"),
        ("OC(=O)N", "carbamic acid"),
        ("CC(=O)F", "acyl fluoride"),
        ("C1=CC1", "cyclopropene"),
        ("O=C1CC1", "cyclopropanone"),
        ("C1=CC=C1", "cyclobutadiene"),
        ("C1#CCCCC1", "triple bond in a ring"),
        ("C1C2CC12", "bicyclobutane"),
        ("C1CC2=CC1CC2", "bridgehead double bond"),
        ("C=C1C2CC1C2", "three small rings"),
    ],
)
def test_unreasonable_molecules_are_refused(smiles, why):
    assert not is_reasonable(Chem.MolFromSmiles(smiles)), why


@pytest.mark.parametrize("smiles", ["CC=NO", "c1nn[nH]c1", "COCOC", "CC(=O)OC", "C1CC2CCC1C2", "NC(N)=O", "FC(F)F"])
def test_reasonable_molecules_pass(smiles):
    mol = Chem.MolFromSmiles(smiles)
    assert is_reasonable(mol), unreasonable_groups(mol)
