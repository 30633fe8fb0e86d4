"""Which enumerated graphs count as reasonable molecules: a few rules of strain, cumulation and instability."""

from functools import cache

from rdkit import Chem

MAX_RINGS = 2
"""Three rings of at most seven atoms are cages."""

_OXIME = "!$([OX2][NX2]=C);!$([NX2](=C)[OX2])"
_UNREASONABLE = {
    "cumulated double bonds (ketene, isocyanate, carbodiimide)": "*=[C,N]=*",
    "heteroatoms in a row outside aromatic rings and oximes": f"[N,O,F;{_OXIME}]~[N,O,F]",
    "heteroatom on an aromatic heteroatom": "[n,o]-[#7,#8,#9]",
    "exocyclic C=C or C=N at an aromatic ring": "[C,N]=[c,n]",
    "aromatic ring of seven atoms": "[a;r7]",
    "nitrogen between two oxygens": "o:n:o",
    "four heteroatoms in a row": "[n,o]:[n,o]:[n,o]:[n,o]",
    "heteroatom at a triple bond other than a nitrile's own nitrogen": "[$([#6]#*)]-[#7,#8,#9]",
    "geminal diol, hemiacetal, hemiaminal, aminal with hydrogen": "[CX4]([OH,NH,NH2])[#7,#8]",
    "fluorine beside another heteroatom on a saturated carbon": "[CX4](F)[#7,#8]",
    "orthoester and the like": "[CX4]([#7,#8])([#7,#8])[#7,#8]",
    "enol or imidic acid": "[OH]C=[C,N]",
    "enamine with hydrogen on nitrogen": "[NH,NH2]C=C",
    "imine with hydrogen on nitrogen": "[NX2H]=[#6]",
    "carbamic or carbonic acid": "[OH]C(=O)[#7,#8]",
    "acyl or imidoyl fluoride": "FC=[O,N]",
    "four-ring with two heteroatoms": "[#7,#8]1*[#7,#8]*1",
    "unsaturated four-ring with a heteroatom inside": "[$([#7,#8]1*=**1),$([#7]1=***1)]",
}


def skeleton_is_reasonable(mol: Chem.Mol) -> bool:
    """Ring rules on saturated carbon: at most two rings, no two rings of at most four atoms that share a bond."""
    rings = _rings(mol)
    if mol.GetNumBonds() - mol.GetNumAtoms() + 1 > MAX_RINGS:
        return False
    small = [ring for ring in rings if len(ring) <= 4]
    return all(len(a & b) < 2 for i, a in enumerate(small) for b in small[i + 1 :])


def hydrocarbon_is_reasonable(mol: Chem.Mol) -> bool:
    """Strain rules on multiple bonds, beside the ring rules. Closed under lowering a bond order."""
    multiple = [bond for bond in mol.GetBonds() if bond.GetBondTypeAsDouble() > 1]
    if any(bond.GetBondType() == Chem.BondType.TRIPLE and bond.IsInRing() for bond in multiple):
        return False
    unsaturated = {index for bond in multiple for index in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())}
    if unsaturated & _never_unsaturated(mol):
        return False
    for ring in _rings(mol):
        if len(ring) == 4 and sum(_inside(bond, ring) for bond in multiple) > 1:
            return False
    return not mol.HasSubstructMatch(_pattern("*=C=*"))


def is_reasonable(mol: Chem.Mol) -> bool:
    """All rules: rings, strain, and `_UNREASONABLE` groups; `mol` is sanitised, with elements C, N, O, F."""
    return skeleton_is_reasonable(mol) and hydrocarbon_is_reasonable(mol) and not unreasonable_groups(mol)


def unreasonable_groups(mol: Chem.Mol) -> list[str]:
    """Names of the rules of `_UNREASONABLE` that the molecule breaks."""
    return [name for name, smarts in _UNREASONABLE.items() if mol.HasSubstructMatch(_pattern(smarts))]


def _never_unsaturated(mol: Chem.Mol) -> set[int]:
    """Atoms that may bear no multiple bond: those of three-rings, fusion atoms of four-rings, bridgeheads (Bredt)."""
    rings = _rings(mol)
    forbidden = {index for ring in rings if len(ring) == 3 for index in ring}
    for i, a in enumerate(rings):
        for b in rings[i + 1 :]:
            shared = a & b
            if shared and min(len(a), len(b)) <= 4:
                forbidden |= shared
            if len(shared) > 2:
                forbidden |= {
                    index for index in shared if sum(n.IsInRing() for n in mol.GetAtomWithIdx(index).GetNeighbors()) > 2
                }
    return forbidden


def _inside(bond: Chem.Bond, ring: set[int]) -> bool:
    return bond.GetBeginAtomIdx() in ring and bond.GetEndAtomIdx() in ring


def _rings(mol: Chem.Mol) -> list[set[int]]:
    return [set(ring) for ring in mol.GetRingInfo().AtomRings()]


@cache
def _pattern(smarts: str) -> Chem.Mol:
    return Chem.MolFromSmarts(smarts)
