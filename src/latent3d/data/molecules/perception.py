"""Bonds from coordinates alone: RDKit's DetermineBonds, the project's one perception tool."""

from dataclasses import replace

import numpy as np
from rdkit import rdBase
from rdkit.Chem import rdDetermineBonds

from latent3d.data.molecules.molecules import ELEMENTS, Molecule
from latent3d.data.molecules.rdkit import from_rdkit, to_rdkit

MAX_ATOMS = 512
"""Largest molecule whose bonds are perceived; the search grows fast with size."""

MAX_ITERATIONS = 10_000
"""Limit on DetermineBonds' search over valence states; without it some molecules (many nitro groups) take for ever."""


def perceive_bonds(molecule: Molecule) -> tuple[Molecule, str]:
    """The molecule with bonds and formal charges perceived from its coordinates (total charge 0), and a status.

    The status is `ok`; or, with the molecule returned as it came, `decode_failed` (no atoms), `nan_coordinates`,
    `foreign_element`, `too_large` (over MAX_ATOMS), `odd_electrons` (no closed shell at charge 0), `timeout`
    (MAX_ITERATIONS reached) or `sanitise_failed` (no bond orders fit the geometry). Never raises on its input.
    """
    problem = _unfit(molecule)
    if problem:
        return molecule, problem
    mol = to_rdkit(replace(molecule, bonds=None, bond_orders=None, formal_charges=None))
    try:
        with rdBase.BlockLogs():
            rdDetermineBonds.DetermineBonds(mol, charge=0, embedChiral=False, maxIterations=MAX_ITERATIONS)
            perceived = from_rdkit(mol)
    except (ValueError, RuntimeError) as error:
        return molecule, "timeout" if "Max Iterations" in str(error) else "sanitise_failed"
    return replace(perceived, positions=molecule.positions), "ok"


def bonded_pairs(molecule: Molecule) -> set[tuple[int, int]]:
    """Pairs (smaller index first) that RDKit perceives as bonded from the distances alone, whatever bonds are given."""
    mol = to_rdkit(Molecule(molecule.atomic_numbers, molecule.positions))
    rdDetermineBonds.DetermineConnectivity(mol)
    ends = ((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds())
    return {(min(pair), max(pair)) for pair in ends}


def _unfit(molecule: Molecule) -> str | None:
    if len(molecule) == 0:
        return "decode_failed"
    if not np.isfinite(molecule.positions).all():
        return "nan_coordinates"
    numbers = molecule.atomic_numbers
    if numbers.min() == 0 or numbers.max() >= len(ELEMENTS):
        return "foreign_element"
    if len(molecule) > MAX_ATOMS:
        return "too_large"
    return "odd_electrons" if numbers.sum(dtype=int) % 2 else None
