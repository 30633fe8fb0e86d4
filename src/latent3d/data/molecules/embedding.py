"""ETKDG geometries of graphs."""

from dataclasses import replace

import numpy as np
from rdkit.Chem import AllChem

from latent3d.data.molecules.molecules import Molecule
from latent3d.data.molecules.perception import perceive_bonds
from latent3d.data.molecules.rdkit import sanitised


def embed(molecule: Molecule, seed: int) -> tuple[Molecule, str]:
    """The molecule's graph (perceived where unknown) at ETKDGv3 coordinates, and `ok` or the reason of the failure."""
    if molecule.bonds is None:
        molecule, reason = perceive_bonds(molecule)
        if reason != "ok":
            return molecule, reason
    # No coordinate of the source may reach the embedding.
    graph = replace(molecule, positions=np.full((len(molecule), 3), np.nan, np.float32))
    if not len(graph):
        return graph, "decode_failed"
    mol = sanitised(graph)
    if mol is None:
        return graph, "sanitise_failed"
    parameters = AllChem.ETKDGv3()
    parameters.randomSeed = seed
    try:
        embedded = AllChem.EmbedMolecule(mol, parameters) >= 0
    except (ValueError, RuntimeError):
        embedded = False
    if not embedded:
        return graph, "embed_failed"
    return replace(graph, positions=mol.GetConformer().GetPositions().astype(np.float32)), "ok"
