"""MMFF94 and MMFF94s in OpenMM against RDKit's own energies and gradients."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from latent3d.base.errors import Failed
from latent3d.calculations.mechanics import Mechanics
from latent3d.calculations.mmff.system import mmff_system
from latent3d.data.molecules.parquet import read_parquet
from latent3d.data.molecules.rdkit import sanitised

# fmt: off
SMILES = [
    "[NH4+]", "[OH3+]", "[OH-]", "C[NH3+]", "CC(=O)[O-]", "O=C([O-])c1ccccc1", "C[N+](C)(C)C", "C[O+](C)C",
    "[O-]C=C", "CC(C)=[NH2+]", "NC(=[NH2+])N", "COP(=O)([O-])[O-]", "[O-][Cl+3]([O-])([O-])[O-]", "c1c[nH]c[nH+]1",
    "c1nnn[n-]1", "[Na+].[Cl-]", "[Zn+2].O", "[F-].C", "CCO.CC", "OC=O.O", "C#C", "CC#CC", "C#CC#C", "CC#N",
    "N#CC#N", "C[N+]#[C-]", "C=C=C", "C=C=C=C", "C=C=O", "O=C=O", "N=C=O", "CN=C=S", "CN=[N+]=[N-]", "C=[N+]=[N-]",
    "C[N+](=O)[O-]", "c1ccc[n+]([O-])c1", "C[N+](C)=C", "N=N", "CN=NC", "NN", "NO", "O=N", "ON=C", "OO",
    "CS(=O)(=O)C", "CS(C)=O", "CS(=O)(=O)N", "O=S=O", "SC=C", "CSSC", "c1ccsc1", "CP(=O)(O)O", "O=P(Cl)(Cl)Cl",
    "C[Si](C)(C)C", "ClC(Cl)Cl", "BrC=C", "IC=C", "C1CC1", "C1CO1", "C1CN1", "C12CC1C2", "C1=CC1",
    "O=C1C=CC(=O)C=C1", "c1ccc2[nH]ccc2c1", "FC(F)(F)c1ccccc1", "NC(=O)C1=CC=CC=C1", "CNC(=O)C", "Nc1ccccc1",
    "c1ccccc1-c1ccccc1",
]
# fmt: on


def embedded(smiles):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(mol, randomSeed=7) == 0
    return mol


def disagreement(mol, variant, positions):
    """Relative differences of the energy and of the gradient to RDKit's at `positions`."""
    mol = Chem.Mol(mol)
    mol.GetConformer().SetPositions(positions)
    properties = AllChem.MMFFGetMoleculeProperties(mol, mmffVariant=variant)
    field = AllChem.MMFFGetMoleculeForceField(mol, properties, nonBondedThresh=1e4, ignoreInterfragInteractions=False)
    expected, slope = field.CalcEnergy(), np.reshape(field.CalcGrad(), (-1, 3))
    energy, gradient = Mechanics(mmff_system(mol, variant), positions).energy_and_gradient()
    return abs(energy / expected - 1), np.abs(gradient - slope).max() / np.abs(slope).max()


def distorted(mol):
    noise = np.random.default_rng(0).normal(0, 0.15, (mol.GetNumAtoms(), 3))
    return mol.GetConformer().GetPositions() + noise


@pytest.mark.parametrize("variant", ["MMFF94", "MMFF94s"])
def test_energies_and_gradients_are_rdkits(variant):
    worst = [(*disagreement(mol, variant, distorted(mol)), smiles) for smiles in SMILES for mol in [embedded(smiles)]]
    assert len(worst) >= 50
    assert [w for w in worst if w[0] > 1e-9 or w[1] > 1e-9] == []


def test_planar_molecules_are_no_exception():
    # Exactly flat: every out-of-plane angle is zero, where careless formulas divide by zero.
    mol = embedded("c1ccccc1")
    positions = mol.GetConformer().GetPositions()
    flat = (positions - positions.mean(axis=0)) @ np.linalg.svd(positions - positions.mean(axis=0))[2].T
    flat[:, 2] = 0
    assert max(disagreement(mol, "MMFF94s", flat)) < 1e-9


def test_the_embedded_dataset():
    molecules = read_parquet(Path(__file__).parents[2] / "resources" / "mini.parquet")
    mols = [sanitised(molecules[i]) for i in range(0, len(molecules), 40)]
    assert max(max(disagreement(mol, "MMFF94s", distorted(mol))) for mol in mols) < 1e-9


def test_drug_like_molecules(mirror):
    with gzip.open(mirror / "druglike" / "druglike_conformers.sdf.gz") as file:
        mols = [mol for i, mol in enumerate(Chem.ForwardSDMolSupplier(file, removeHs=False)) if i % 60 == 0]
    assert len(mols) > 20
    assert max(max(disagreement(mol, "MMFF94s", distorted(mol))) for mol in mols) < 1e-9


def test_variants_differ_at_planar_nitrogen_only():
    def energy(smiles, variant):
        mol = embedded(smiles)
        return Mechanics(mmff_system(mol, variant), distorted(mol)).energy_and_gradient()[0]

    assert abs(energy("Nc1ccccc1", "MMFF94") - energy("Nc1ccccc1", "MMFF94s")) > 0.1
    assert energy("CCO", "MMFF94") == energy("CCO", "MMFF94s")


def test_typing_leaves_the_molecule_as_it_was():
    mol = embedded("c1ccccc1")
    mmff_system(mol)
    assert all(atom.GetIsAromatic() == (atom.GetSymbol() == "C") for atom in mol.GetAtoms())


@pytest.mark.parametrize("smiles", ["CB(O)O", "[Au]", "C[Hg]C", "[H][H]"])
def test_untyped_molecules_have_a_reason(smiles):
    with pytest.raises(Failed, match="ff_untyped"):
        mmff_system(Chem.AddHs(Chem.MolFromSmiles(smiles)))
