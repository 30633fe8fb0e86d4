"""MMFF94 relaxation (Halgren 1996) with RDKit, at most 200 iterations: what the papers call MMFF post-processing."""

from dataclasses import replace

import numpy as np
import pandas as pd
from rdkit import rdBase
from rdkit.Chem import AllChem

from latent3d.base.errors import Failed
from latent3d.calculations.graph import force_field_graph
from latent3d.data.molecules.molecules import Molecule, Molecules, from_list

MAX_ITERATIONS = 200


def relax(samples: Molecules) -> Molecules:
    """The same samples at MMFF94 minima, `status` replaced where MMFF failed.

    `ff_unconverged` keeps the geometry after 200 iterations; `ff_untyped`, `nan_coordinates`, `too_large` and
    `sanitise_failed` (no graph that MMFF could type) keep the raw one. Samples that had failed stay as they are.
    Graphs are never changed; where bonds are unknown they are perceived for the force field only.
    """
    molecules, status = [], []
    with rdBase.BlockLogs():
        for molecule, before in zip(samples, samples.table["status"], strict=True):
            after = before
            if before == "ok":
                molecule, after = relax_molecule(molecule)
            molecules.append(molecule)
            status.append(after)
    return from_list(molecules, samples.table.assign(status=pd.Series(status, dtype=object)), samples.units)


def relax_molecule(molecule: Molecule) -> tuple[Molecule, str]:
    """One molecule at its MMFF94 minimum and the status (see `relax`)."""
    try:
        mol = force_field_graph(molecule)
    except Failed as failed:
        return molecule, failed.reason
    if not AllChem.MMFFHasAllMoleculeParams(mol):
        return molecule, "ff_untyped"
    try:
        code = AllChem.MMFFOptimizeMolecule(mol, mmffVariant="MMFF94", maxIters=MAX_ITERATIONS)
    except (ValueError, RuntimeError):
        # Coinciding atoms: the energy is not a number.
        return molecule, "ff_unconverged"
    positions = mol.GetConformer().GetPositions().astype(np.float32)
    if not np.isfinite(positions).all():
        return molecule, "ff_unconverged"
    return replace(molecule, positions=positions), {0: "ok", 1: "ff_unconverged"}.get(code, "ff_untyped")
