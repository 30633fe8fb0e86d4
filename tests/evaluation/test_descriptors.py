import numpy as np
import pytest
from mini_smiles import mini_smiles
from rdkit import Chem, RDConfig
from rdkit.Chem import QED, Crippen, Descriptors, rdMolDescriptors

from latent3d.base.errors import UserError
from latent3d.evaluation.distribution.contrib import contrib_module
from latent3d.evaluation.distribution.descriptors import descriptors
from latent3d.evaluation.registry import DESCRIPTORS

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
DRUGS = [
    ASPIRIN,
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "N=C(CCSCc1csc(N=C(N)N)n1)NS(N)(=O)=O",
    "CC12CCC3C(C1CCC2O)CCC4=CC(=O)CCC34C",
    "C[N+](C)(C)CC(=O)[O-]",
    "O=[N+]([O-])c1ccc(Cl)cc1S(=O)(=O)NC(F)(F)F",
]


def by_name(smiles):
    return dict(zip(DESCRIPTORS, descriptors(Chem.MolFromSmiles(smiles)), strict=True))


def test_aspirin():
    values = by_name(ASPIRIN)
    assert values["mw"] == pytest.approx(9 * 12.011 + 8 * 1.008 + 4 * 15.999, abs=1e-3)
    # Ertl's contributions (J. Med. Chem. 2000): two C=O 17.07, ester O 9.23, OH 20.23.
    assert values["tpsa"] == pytest.approx(2 * 17.07 + 9.23 + 20.23)
    assert values["logp"] == pytest.approx(1.3101, abs=1e-4)
    assert values["qed"] == pytest.approx(0.550, abs=1e-3)
    assert values["sa"] == pytest.approx(1.58, abs=1e-2)


def test_qed_of_its_paper():
    assert by_name("CNC(=NCCSCc1nc[nH]c1C)NC#N")["qed"] == pytest.approx(0.234, abs=1e-3)


def test_equal_to_rdkits_own():
    mols = [Chem.MolFromSmiles(smiles) for smiles in (*DRUGS, *mini_smiles(400))]
    own = np.array([descriptors(mol) for mol in mols])
    theirs = [
        (
            Descriptors.MolWt(mol),
            Crippen.MolLogP(mol),
            rdMolDescriptors.CalcTPSA(mol),
            QED.qed(mol),
            contrib_module("SA_Score", "sascorer").calculateScore(mol),
        )
        for mol in mols
    ]
    np.testing.assert_allclose(own, theirs, atol=1e-9)


def test_isomers_weigh_the_same():
    assert len({by_name(smiles)["mw"] for smiles in ("CC1C(C)C1N", "NC1CCCC1", "C=CCCCN", "CC(C)C=NC")}) == 1


def test_the_molecule_keeps_its_smiles():
    mol = Chem.MolFromSmiles("C[C@H](O)C=CC1CC1")
    before = Chem.MolToCXSmiles(mol)
    descriptors(mol)
    assert Chem.MolToCXSmiles(mol) == before


@pytest.mark.parametrize("smiles", ["[H][H]", "C", "N#N", "C" * 200, "CC(=O)OC" * 40, "[Se]", "FS(F)(F)(F)(F)F"])
def test_odd_molecules_have_finite_values(smiles):
    assert np.isfinite(descriptors(Chem.MolFromSmiles(smiles))).all()


def test_an_rdkit_without_contrib_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(RDConfig, "RDContribDir", str(tmp_path))
    contrib_module.cache_clear()
    with pytest.raises(UserError, match=r"sascorer\.py.*Install rdkit"):
        descriptors(Chem.MolFromSmiles("C"))
