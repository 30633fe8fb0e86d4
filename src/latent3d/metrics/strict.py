"""Strict validity (project choice): a closed-shell, neutral, single molecule with every hydrogen its own atom.

RDKit's sanitisation alone is not enough: it adds hydrogens silently, so that CH3, a bare carbon and C-C are "valid".
Implicit hydrogens are therefore forbidden (`molecules.rdkit.to_rdkit`) before it runs.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from rdkit import Chem, rdBase

from latent3d.metrics.pairs import all_pairs, pair_distances
from latent3d.molecules.molecules import ELEMENTS, Molecule, Molecules
from latent3d.molecules.perception import MAX_ATOMS, perceive_bonds
from latent3d.molecules.rdkit import canonical_smiles, sanitised

MIN_DISTANCE = 0.5
"""Atoms closer than this, in angstrom, overlap."""

USABLE_STATUSES = ("ok", "ff_unconverged")
"""Sample statuses that leave a molecule to be judged. An unconverged relaxation is kept and judged as it stands."""


@dataclass(frozen=True)
class StrictValidity:
    """Verdict on each of M samples.

    Attributes:
        status: `ok` or the first reason found, in this order: the sample's own failure, `decode_failed` (no atoms),
            `nan_coordinates`, `foreign_element`, `too_large`, `atoms_overlap`, those of bond perception (where bonds
            are unknown), `sanitise_failed`, `radical`, `fragments`, `charged`, `odd_electrons`.
        smiles: canonical SMILES of the strictly valid, None for the others.
    """

    status: list[str]
    smiles: list[str | None]


def strict_validity(
    samples: Molecules, elements: Collection[int], sample_status: Sequence[str] | None = None
) -> StrictValidity:
    """Judge samples by their own graph, or, where bonds are unknown, by the one perceived from coordinates.

    Args:
        samples: M molecules.
        elements: atomic numbers of the reference dataset; any other element is foreign.
        sample_status: status of each sample; a failure (not in `USABLE_STATUSES`) is not valid and keeps its reason.
    """
    sample_status = ["ok"] * len(samples) if sample_status is None else list(sample_status)
    known = np.zeros(256, bool)
    known[[number for number in elements if 0 < number < len(ELEMENTS)]] = True
    foreign = _any_atom(samples, ~known[samples.atomic_numbers])
    undefined = _any_atom(samples, ~np.isfinite(samples.positions).all(axis=1))
    overlap = _overlapping(samples)
    status, smiles = [], []
    with rdBase.BlockLogs():
        for i, molecule in enumerate(samples):
            if sample_status[i] not in USABLE_STATUSES:
                verdict = sample_status[i], None
            elif len(molecule) == 0:
                verdict = "decode_failed", None
            elif undefined[i]:
                verdict = "nan_coordinates", None
            elif foreign[i]:
                verdict = "foreign_element", None
            elif len(molecule) > MAX_ATOMS:
                verdict = "too_large", None
            elif overlap[i]:
                verdict = "atoms_overlap", None
            else:
                verdict = judge_graph(molecule)
            status.append(verdict[0])
            smiles.append(verdict[1])
    return StrictValidity(status, smiles)


def judge_graph(molecule: Molecule) -> tuple[str, str | None]:
    """Status and canonical SMILES of one molecule by its graph (perceived where unknown), coordinates being sound."""
    if molecule.bonds is None:
        molecule, status = perceive_bonds(molecule)
        if status != "ok":
            return status, None
    mol = sanitised(molecule)
    if mol is None:
        return "sanitise_failed", None
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        return "radical", None
    if len(Chem.GetMolFrags(mol)) > 1:
        return "fragments", None
    charge = int(molecule.formal_charges.sum(dtype=int))
    if charge != 0:
        return "charged", None
    if (int(molecule.atomic_numbers.sum(dtype=int)) - charge) % 2:
        return "odd_electrons", None
    return "ok", canonical_smiles(mol)


def reference_smiles(molecules: Molecules) -> set[str]:
    """Canonical SMILES of reference molecules for novelty, from the same graphs and code as those of samples.

    A molecule without known bonds is perceived; one whose bonds cannot be perceived, or that cannot be sanitised,
    falls back to its `smiles` column if it has one, and is else left out.
    """
    texts = molecules.table["smiles"] if "smiles" in molecules.table else [None] * len(molecules)
    found: set[str] = set()
    with rdBase.BlockLogs():
        for molecule, text in zip(molecules, texts, strict=True):
            graph = molecule if molecule.bonds is not None else perceive_bonds(molecule)[0]
            mol = None if graph.bonds is None else sanitised(graph)
            if mol is None and isinstance(text, str):
                mol = Chem.MolFromSmiles(text)
            if mol is not None:
                found.add(canonical_smiles(mol))
    return found


def _any_atom(molecules: Molecules, atoms: np.ndarray) -> np.ndarray:
    """[M] bool: any atom of the molecule is marked in `atoms` [A]."""
    return np.bincount(molecules.molecule_of_atom[atoms], minlength=len(molecules)) > 0


def _overlapping(molecules: Molecules) -> np.ndarray:
    """[M] bool: two atoms of the molecule are closer than MIN_DISTANCE."""
    overlap = np.zeros(len(molecules), bool)
    for first, second in all_pairs(molecules, MAX_ATOMS):
        close = pair_distances(molecules, first, second) < MIN_DISTANCE
        overlap[molecules.molecule_of_atom[first[close]]] = True
    return overlap
