import random
from collections import Counter

import pytest
from mini_smiles import mini_smiles
from rdkit import Chem
from rdkit.Chem.BRICS import BreakBRICSBonds, FindBRICSBonds
from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

from latent3d.evaluation.distribution import fragments as parts

ATORVASTATIN = "CC(C)c1c(C(=O)Nc2ccccc2)c(-c2ccccc2)c(-c2ccc(F)cc2)n1CCC(O)CC(O)CC(=O)O"


def of(function, smiles):
    return function(Chem.MolFromSmiles(smiles))


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CC", ["CC"]),
        ("CCOC(=O)c1ccccc1", ["[1*]C([6*])=O", "[16*]c1ccccc1", "[3*]O[3*]", "[4*]CC"]),
        ("c1ccccc1-c1ccccc1", ["[16*]c1ccccc1", "[16*]c1ccccc1"]),
    ],
)
def test_fragments(smiles, expected):
    assert sorted(of(parts.fragments, smiles)) == sorted(expected)


def test_fragments_break_every_brics_bond():
    for smiles in (ATORVASTATIN, *mini_smiles(200)):
        mol = Chem.MolFromSmiles(smiles)
        bonds = list(FindBRICSBonds(mol))
        found = parts.fragments(mol)
        assert len(found) == len(bonds) + 1
        assert Counter(found) == Counter(Chem.MolToSmiles(BreakBRICSBonds(mol, bonds)).split("."))


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CCCC", ""),
        ("CCc1ccccc1", ""),  # fewer than two rings, as in MOSES
        ("Cc1ccc(CCC2CCC2C)cc1", "c1ccc(CCC2CCC2)cc1"),
        ("O=C1CC2CC2C1CC", "O=C1CC2CC2C1"),
        ("CC=C1CC2CC12", "C=C1CC2CC12"),
        ("Cn1ccc2ccccc21", "c1ccc2[nH]ccc2c1"),
    ],
)
def test_scaffold(smiles, expected):
    assert of(parts.scaffold, smiles) == expected


def test_scaffold_is_rdkits_for_more_rings():
    assert of(parts.scaffold, ATORVASTATIN) == MurckoScaffoldSmiles(ATORVASTATIN)


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CCO", []),
        ("CCc1ccccc1", ["c1ccccc1"]),
        ("c1ccc(-c2ccccc2)cc1", ["c1ccccc1", "c1ccccc1"]),
        ("OC1CC12CC2", ["C1CC12CC2"]),  # spiro
        ("CC1CC2CCC1C2", ["C1CC2CCC1C2"]),  # bridged
        ("c1ccc2ccccc2c1CCN1CCCC1=NO", ["N=C1CCCN1", "c1ccc2ccccc2c1"]),
        ("CC(C)=C1CC1CC", ["C=C1CC1"]),
        ("O=C=C1CC1", ["O=C=C1CC1"]),
        ("CS1(=O)(CC)CCC1", ["O=[SH2]1CCC1"]),
        ("O=S1(=O)CCCN1C", ["O=S1(=O)CCCN1"]),
        ("C[N+]1(C)CCCC1", ["C1CC[NH2+]C1"]),
        ("C[n+]1ccccc1", ["c1cc[nH+]cc1"]),
        ("Cn1cccc1", ["c1cc[nH]c1"]),
        ("CC1=CC(=C2C=CC(C)=C2)C=C1", ["C1=CC(=C2C=CC=C2)C=C1"]),  # joined by a double bond
        ("O=c1cc[nH]cc1C#N", ["O=c1cc[nH]cc1"]),
    ],
)
def test_ring_systems(smiles, expected):
    assert sorted(of(parts.ring_systems, smiles)) == expected


def test_ring_systems_are_molecules_of_their_own():
    for smiles in (ATORVASTATIN, *mini_smiles(400)):
        for system in of(parts.ring_systems, smiles):
            mol = Chem.MolFromSmiles(system)
            assert Chem.MolToSmiles(mol) == system
            assert parts.ring_systems(mol) == [system]


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CCCC", []),
        ("CCO", ["CO"]),
        ("COC", ["COC"]),
        ("CC(=O)NC", ["CNC(C)=O"]),
        ("C1CO1", ["C1CO1"]),
        # Figure 1 of Ertl (2017): compounds 1 and 3.
        ("Cc1nc(NS(=O)(=O)c2ccc(N)cc2)nc(C)c1", ["cN", "cNS(c)(=O)=O", "cnc", "cnc"]),
        ("CC(=O)Nc1nnc(s1)S(=O)(=O)N", ["cNC(C)=O", "cS(N)(=O)=O", "cnnc", "csc"]),
    ],
)
def test_functional_groups(smiles, expected):
    assert sorted(of(parts.functional_groups, smiles)) == sorted(expected)


@pytest.mark.parametrize("function", [parts.fragments, parts.scaffold, parts.ring_systems, parts.functional_groups])
def test_the_order_of_atoms_does_not_count(function):
    # The first two had several SMILES for one functional group before these were made canonical.
    for smiles in ("CC1=C(C)CC(CO)C1", "COC1COCCO1", ATORVASTATIN, *mini_smiles(150)):
        mol = Chem.MolFromSmiles(smiles)
        order = list(range(mol.GetNumAtoms()))
        random.Random(0).shuffle(order)
        assert sorted(function(mol)) == sorted(function(Chem.RenumberAtoms(mol, order)))


@pytest.mark.parametrize("function", [parts.fragments, parts.scaffold, parts.ring_systems, parts.functional_groups])
@pytest.mark.parametrize("smiles", ["[H][H]", "C", "N#N", "CC(=O)OCCNC" * 40, "C1CC1" * 100, "N" * 500])
def test_odd_and_large_molecules(function, smiles):
    of(function, smiles)
