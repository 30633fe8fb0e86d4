"""What one molecule is made of, as canonical SMILES: fragments, scaffold, ring systems, functional groups.

All functions take a sanitised molecule without explicit hydrogens and stereochemistry, parsed from its canonical
SMILES: an atom for which implicit hydrogens are forbidden would become a radical where a neighbour is taken away.
"""

from functools import lru_cache

from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from latent3d.evaluation.distribution.contrib import contrib_module


def fragments(mol: Chem.Mol) -> list[str]:
    """The pieces left when all BRICS bonds are broken at once (as MOSES does), with labelled dummies at the cuts.

    A molecule without such a bond is its own fragment. Degen et al. 2008; one pass, so that time stays linear.
    """
    return Chem.MolToSmiles(Chem.FragmentOnBRICSBonds(mol)).split(".")


def scaffold(mol: Chem.Mol) -> str:
    """Murcko scaffold as RDKit defines it (double-bonded neighbours stay); '' for fewer than two rings, as in MOSES."""
    if mol.GetRingInfo().NumRings() < 2:
        return ""
    return Chem.MolToSmiles(MurckoScaffold.GetScaffoldForMol(mol))


def ring_systems(mol: Chem.Mol) -> list[str]:
    """Rings that share bonds or atoms (fused, bridged, spiro), one entry per system.

    A system keeps what hangs on it by double bonds, also another system; every other substituent becomes a hydrogen.
    """
    core = _reached_by_multiple_bonds(mol, [atom.GetIdx() for atom in mol.GetAtoms() if atom.IsInRing()])
    if not core:
        return []
    cuts = [
        bond.GetIdx()
        for bond in mol.GetBonds()
        if bond.GetBondType() == Chem.BondType.SINGLE
        and not bond.IsInRing()
        and (bond.GetBeginAtomIdx() in core or bond.GetEndAtomIdx() in core)
    ]
    pieces = _replace_by_hydrogen(mol, cuts) if cuts else mol
    # A connected graph has a ring if and only if it has at least as many bonds as atoms.
    return [
        Chem.MolToSmiles(piece)
        for piece in Chem.GetMolFrags(pieces, asMols=True, sanitizeFrags=False)
        if piece.GetNumBonds() >= piece.GetNumAtoms()
    ]


def functional_groups(mol: Chem.Mol) -> list[str]:
    """Functional groups of Ertl (2017) with the carbons around them, as RDKit's Contrib/IFG finds them.

    Raises:
        UserError: RDKit came without Contrib/IFG.
    """
    groups = contrib_module("IFG", "ifg").identify_functional_groups(mol)
    return [_canonical(group.type) for group in groups]


def _reached_by_multiple_bonds(mol: Chem.Mol, start: list[int]) -> set[int]:
    """Indices of the atoms to which a path without single bonds leads from the given ones, those included."""
    reached, waiting = set(start), list(start)
    while waiting:
        atom = mol.GetAtomWithIdx(waiting.pop())
        for bond in atom.GetBonds():
            other = bond.GetOtherAtomIdx(atom.GetIdx())
            if bond.GetBondType() != Chem.BondType.SINGLE and other not in reached:
                reached.add(other)
                waiting.append(other)
    return reached


def _replace_by_hydrogen(mol: Chem.Mol, bonds: list[int]) -> Chem.Mol:
    """The molecule with these single bonds broken and both ends saturated."""
    pieces = Chem.FragmentOnBonds(mol, bonds)
    for index in range(mol.GetNumAtoms(), pieces.GetNumAtoms()):
        end = pieces.GetAtomWithIdx(index)
        end.SetAtomicNum(1)
        end.SetIsotope(0)
    # Hydrogens as atoms first: removing them leaves the right count on charged and aromatic neighbours.
    return Chem.RemoveHs(pieces, sanitize=False)


@lru_cache(maxsize=65536)
def _canonical(group: str) -> str:
    """RDKit orders the atoms of a part by their place in the whole molecule: one group can have several SMILES."""
    mol = Chem.MolFromSmiles(group, sanitize=False)
    mol.UpdatePropertyCache(strict=False)
    return Chem.MolToSmiles(mol)
