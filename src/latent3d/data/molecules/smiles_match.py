"""Bonds for coordinates whose SMILES is known: the SMILES' graph laid onto the geometry.

Nothing is guessed but the connectivity: a SMILES with B bonds (hydrogens included) is matched onto the B shortest
contacts of the geometry, each measured in units of the two covalent radii, with no threshold on distance. The match
ignores bond orders, which then come from the SMILES. That is sound because all hydrogens are explicit: the number of
neighbours of every atom fixes where unsaturation can be, so that matches differ at most by resonance structures.
"""

from dataclasses import replace

import numpy as np
from rdkit import Chem, rdBase

from latent3d.data.molecules.contacts import COVALENT_RADII
from latent3d.data.molecules.molecules import Molecule
from latent3d.data.molecules.perception import MAX_ATOMS
from latent3d.data.molecules.rdkit import from_rdkit, is_tangled

_MAX_SMILES = 4 * MAX_ATOMS


def match_smiles(molecule: Molecule, smiles: str) -> Molecule | None:
    """The molecule, atoms in their order, with the bonds, Kekule orders and charges that `smiles` says.

    None if the SMILES cannot be read, has other atoms, or if its graph is not the one of the shortest contacts.
    Stereo marks are ignored. Never raises on its input.
    """
    if not 0 < len(molecule) <= MAX_ATOMS or len(smiles) > _MAX_SMILES or not np.isfinite(molecule.positions).all():
        return None
    graph = _explicit_graph(smiles)
    numbers = molecule.atomic_numbers
    if graph is None or not np.array_equal(np.sort(graph.atomic_numbers), np.sort(numbers)):
        return None
    contacts = _shortest_contacts(molecule, len(graph.bonds))
    rank, graph_rank = _canonical_rank(numbers, contacts), _canonical_rank(graph.atomic_numbers, graph.bonds)
    if not np.array_equal(_sorted_pairs(rank[contacts]), _sorted_pairs(graph_rank[graph.bonds])):
        return None
    atom = np.argsort(rank)[graph_rank]  # atom[k]: atom of the geometry for atom k of the SMILES
    if not np.array_equal(numbers[atom], graph.atomic_numbers):
        return None
    charges = np.zeros_like(graph.formal_charges)
    charges[atom] = graph.formal_charges
    return replace(
        molecule, bonds=atom[graph.bonds].astype(np.int16), bond_orders=graph.bond_orders, formal_charges=charges
    )


def _explicit_graph(smiles: str) -> Molecule | None:
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles, sanitize=False)
        if mol is None or not mol.GetNumAtoms() or is_tangled(mol.GetNumAtoms(), mol.GetNumBonds()):
            return None
        try:
            Chem.SanitizeMol(mol)
            return from_rdkit(Chem.AddHs(mol))
        except ValueError:
            return None


def _shortest_contacts(molecule: Molecule, count: int) -> np.ndarray:
    """[count, 2] atom pairs with the smallest distance / (sum of covalent radii)."""
    i, j = np.triu_indices(len(molecule), k=1)
    x = molecule.positions.astype(np.float64)
    radii = COVALENT_RADII[molecule.atomic_numbers]
    ratio = np.linalg.norm(x[i] - x[j], axis=1) / (radii[i] + radii[j])
    shortest = np.argsort(ratio, kind="stable")[:count]
    return np.stack([i[shortest], j[shortest]], axis=1)


def _canonical_rank(numbers: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """[N] canonical place of every atom in the graph of elements and contacts; isomorphic graphs agree in it.

    Canonical labelling takes polynomial time, where a subgraph search on a hostile input may not end.
    """
    editable = Chem.RWMol()
    for number in numbers.tolist():
        atom = Chem.Atom(number)
        atom.SetNoImplicit(True)
        editable.AddAtom(atom)
    for i, j in pairs.tolist():
        editable.AddBond(i, j, Chem.BondType.SINGLE)
    editable.UpdatePropertyCache(strict=False)
    Chem.FastFindRings(editable)
    return np.array(Chem.CanonicalRankAtoms(editable, breakTies=True))


def _sorted_pairs(pairs: np.ndarray) -> np.ndarray:
    ends = np.sort(pairs, axis=1)
    return ends[np.lexsort(ends.T)]
