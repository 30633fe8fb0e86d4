"""One molecule against its reconstruction: graph, aligned geometry, bond lengths, chirality.

The geometric measures compare two geometries of the same graph with the same atom numbering.
"""

from collections.abc import Sequence

import numpy as np
from rdkit import Chem, rdBase
from scipy.optimize import linear_sum_assignment

from latent3d.data.molecules.alignment import kabsch_align, kabsch_rmsd
from latent3d.data.molecules.molecules import Molecule
from latent3d.data.molecules.rdkit import canonical_smiles, sanitised

MAX_AUTOMORPHISMS = 20_000
"""Graph symmetries tried exactly (98 % of QM9 has fewer). Beyond, hydrogens are assigned by alternation."""

_TERMINAL_OXYGENS = Chem.MolFromSmarts("[O,S;D1;$([O,S]-*=[O,S;D1]),$([O,S]=*-[O,S;D1])]")


def exact_match_2d(reference: Molecule, predicted: Molecule) -> bool:
    """Whether both graphs have the same canonical SMILES (stereo off); never if one cannot be sanitised."""
    with rdBase.BlockLogs():
        mols = [sanitised(reference), sanitised(predicted)]
        return None not in mols and canonical_smiles(mols[0]) == canonical_smiles(mols[1])


def aligned_rmsd(reference: Molecule, predicted: Molecule) -> tuple[float, float]:
    """RMSD of heavy atoms and of all atoms, angstrom, after the best proper rotation and translation.

    Each is minimised over the automorphisms of the reference's graph (its heavy part, or all atoms); reflections are
    not allowed, so the mirror image of a chiral molecule keeps its distance. Only for molecules of very many
    automorphisms the second value is an upper bound of the minimum. NaN if a coordinate is not finite.

    Raises:
        ValueError: the reference has no graph that can be sanitised.
    """
    x, y = (molecule.positions.astype(np.float64) for molecule in (reference, predicted))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return float("nan"), float("nan")
    graph = _symmetry_graph(reference)
    heavy = np.flatnonzero(reference.atomic_numbers > 1)
    skeletons = automorphisms(_heavy_part(graph, heavy)) if len(heavy) else np.zeros((1, 0), int)
    rmsd_heavy = kabsch_rmsd(y[heavy][skeletons], x[heavy]).min() if len(heavy) else float("nan")
    mappings = automorphisms(graph)
    if len(mappings) > MAX_AUTOMORPHISMS and len(heavy) > 2:
        alternated = [_alternate_hydrogens(graph, heavy, heavy[skeleton], x, y) for skeleton in skeletons]
        mappings = np.concatenate([mappings, alternated])
    return float(rmsd_heavy), float(kabsch_rmsd(y[mappings], x).min())


def automorphisms(graph: Chem.Mol) -> np.ndarray:
    """[K, N] relabellings of the graph onto itself, the identity first, at most MAX_AUTOMORPHISMS + 1."""
    matches = graph.GetSubstructMatches(graph, uniquify=False, maxMatches=MAX_AUTOMORPHISMS)
    return np.array([tuple(range(graph.GetNumAtoms())), *matches], int)


def bond_length_mae(reference: Molecule, predicted: Molecule) -> float:
    """Mean absolute error of the lengths of the reference's bonds, angstrom. NaN without bonds."""
    if reference.bonds is None or not len(reference.bonds):
        return float("nan")
    lengths = [
        np.linalg.norm(m.positions[reference.bonds[:, 0]].astype(float) - m.positions[reference.bonds[:, 1]], axis=1)
        for m in (reference, predicted)
    ]
    return float(np.abs(lengths[0] - lengths[1]).mean())


def stereocentres(reference: Molecule, predicted: Molecule) -> tuple[int, int]:
    """Number of tetrahedral stereocentres of the reference that the prediction has alike, and their number.

    The centres are those RDKit assigns from the reference's geometry; alike means the same sign of the volume that
    the centre's neighbours span, in the order of the common atom numbering.

    Raises:
        ValueError: the reference has no graph that can be sanitised.
    """
    with rdBase.BlockLogs():
        mol = sanitised(reference)
        if mol is None:
            raise ValueError("the reference has no graph that can be sanitised")
        Chem.AssignStereochemistryFrom3D(mol)
        found = Chem.FindMolChiralCenters(mol, includeUnassigned=False, useLegacyImplementation=False)
    centres = [mol.GetAtomWithIdx(index) for index, _ in found]
    corners = [[atom.GetIdx(), *(n.GetIdx() for n in atom.GetNeighbors())] for atom in centres]
    same = (np.sign(_volumes(reference, corners)) == np.sign(_volumes(predicted, corners))).sum()
    return int(same), len(corners)


def _volumes(molecule: Molecule, corners: Sequence[list[int]]) -> np.ndarray:
    """[C] signed volumes spanned by a centre's neighbours: the first three seen from the fourth, or from the centre."""
    x = molecule.positions.astype(np.float64)
    origins = [atoms[4] if len(atoms) == 5 else atoms[0] for atoms in corners]
    with np.errstate(invalid="ignore"):  # NaN coordinates give NaN, which is like no sign
        return np.array([np.linalg.det(x[atoms[1:4]] - x[o]) for atoms, o in zip(corners, origins, strict=True)])


def _symmetry_graph(molecule: Molecule) -> Chem.Mol:
    """The graph with aromatic bonds, and with the two oxygens of nitro and carboxylate groups made equal."""
    graph = sanitised(molecule) if molecule.bonds is not None else None
    if graph is None:
        raise ValueError("the reference has no graph that can be sanitised")
    for (index,) in graph.GetSubstructMatches(_TERMINAL_OXYGENS):
        graph.GetAtomWithIdx(index).SetFormalCharge(0)
        graph.GetAtomWithIdx(index).GetBonds()[0].SetBondType(Chem.BondType.ONEANDAHALF)
    return graph


def _heavy_part(graph: Chem.Mol, heavy: np.ndarray) -> Chem.Mol:
    """The graph of the heavy atoms, labelled (as isotopes) by their number of hydrogens."""
    editable = Chem.RWMol(graph)
    for atom in editable.GetAtoms():
        atom.SetIsotope(1 + sum(neighbour.GetAtomicNum() == 1 for neighbour in atom.GetNeighbors()))
    for index in sorted(set(range(graph.GetNumAtoms())) - set(heavy.tolist()), reverse=True):
        editable.RemoveAtom(index)
    return editable.GetMol()


def _alternate_hydrogens(
    graph: Chem.Mol, heavy: np.ndarray, images: np.ndarray, x: np.ndarray, y: np.ndarray, rounds: int = 10
) -> np.ndarray:
    """[N] mapping that extends heavy -> images: align, give each atom's hydrogens to the nearest, and again."""
    hydrogens = [
        [n.GetIdx() for n in graph.GetAtomWithIdx(i).GetNeighbors() if n.GetAtomicNum() == 1]
        for i in range(graph.GetNumAtoms())
    ]
    mapping = np.arange(len(x))
    mapping[heavy] = images
    moved = kabsch_align(y, x[heavy], images)
    for _ in range(rounds):
        previous = mapping.copy()
        for atom, image in zip(heavy.tolist(), images.tolist(), strict=True):
            own, theirs = np.array(hydrogens[atom], int), np.array(hydrogens[image], int)
            squared = ((x[own][:, None] - moved[theirs][None]) ** 2).sum(axis=-1)
            rows, columns = linear_sum_assignment(squared)
            mapping[own[rows]] = theirs[columns]
        if (mapping == previous).all():
            break
        moved = kabsch_align(y, x, mapping)
    return mapping
