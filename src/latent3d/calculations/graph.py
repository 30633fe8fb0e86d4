"""The graph that a calculation is about: the molecule's own, or perceived."""

import numpy as np
from rdkit import Chem, rdBase

from latent3d.base.errors import Failed
from latent3d.data.molecules.molecules import Molecule
from latent3d.data.molecules.perception import MAX_ATOMS, perceive_bonds
from latent3d.data.molecules.rdkit import sanitised


def force_field_graph(molecule: Molecule) -> Chem.Mol:
    """The sanitised RDKit molecule, with its conformer, that a force field can type; bonds perceived where unknown.

    Raises:
        Failed: `nan_coordinates`, `too_large`, `decode_failed` (no atoms), `sanitise_failed`, or a reason of
            `perceive_bonds`.
    """
    if not np.isfinite(molecule.positions).all():
        raise Failed("nan_coordinates")
    if len(molecule) > MAX_ATOMS:
        raise Failed("too_large")
    graph, reason = (molecule, "ok") if molecule.bonds is not None else perceive_bonds(molecule)
    if reason != "ok":
        raise Failed(reason)
    if not len(molecule):
        raise Failed("decode_failed")
    with rdBase.BlockLogs():
        mol = sanitised(graph)
    if mol is None:
        raise Failed("sanitise_failed")
    return mol
