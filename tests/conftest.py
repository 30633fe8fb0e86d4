"""Molecules that many tests need."""

import os

# As the command line does, before numpy and torch are imported: small tensors lose by sharing cores.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from latent3d.data.molecules.molecules import Molecule, Molecules, from_list
from latent3d.data.molecules.rdkit import canonical_smiles, from_rdkit

SMILES = [
    "C",
    "CC",
    "CCO",
    "C=C",
    "C#N",
    "c1ccccc1",
    "c1cc[nH]c1",
    "CC(=O)O",
    "C[N+](=O)[O-]",
    "N[C@@H](C)C(=O)O",
    "C[C@H](O)F",
    "O=C1CC1",
    "CC(C)(C)C",
    "COC=O",
]


def embed(smiles: str, seed: int = 0) -> Molecule:
    """A molecule with all hydrogens, from its SMILES: ETKDG geometry relaxed with MMFF94."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(mol, randomSeed=seed + 1) == 0
    AllChem.MMFFOptimizeMolecule(mol, maxIters=2000)
    return from_rdkit(mol)


def proper_rotation(seed: int = 0) -> np.ndarray:
    """[3, 3] random rotation with determinant 1."""
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return rotation * np.sign(np.linalg.det(rotation))


@pytest.fixture(scope="session")
def from_smiles() -> Callable[[str], Molecule]:
    """`embed`, each molecule computed once."""
    known: dict[str, Molecule] = {}

    def build(smiles: str) -> Molecule:
        if smiles not in known:
            known[smiles] = embed(smiles)
        return known[smiles]

    return build


@pytest.fixture(scope="session")
def rotation() -> np.ndarray:
    """A proper rotation [3, 3]."""
    return proper_rotation()


@pytest.fixture(scope="session")
def dataset(from_smiles: Callable[[str], Molecule]) -> Molecules:
    """The molecules of `SMILES` with columns id, smiles, split: the last four are test, two valid, the others train."""
    split = ["train"] * (len(SMILES) - 6) + ["valid"] * 2 + ["test"] * 4
    canonical = [canonical_smiles(Chem.MolFromSmiles(s)) for s in SMILES]
    table = pd.DataFrame({"id": [f"m{i}" for i in range(len(SMILES))], "smiles": canonical, "split": split})
    return from_list([from_smiles(s) for s in SMILES], table)


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Folder with real data; the test is skipped where LATENT3D_MIRROR does not name one."""
    folder = os.environ.get("LATENT3D_MIRROR")
    if not folder:
        pytest.skip("LATENT3D_MIRROR is not set")
    return Path(folder)
