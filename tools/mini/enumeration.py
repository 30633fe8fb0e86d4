"""All small organic molecules as graphs, grown from methane: constitution only, no list taken from elsewhere.

Three exhaustive moves, each deduplicated by canonical SMILES: (1) grow saturated carbon skeletons (add an atom, close a
ring), (2) raise bond orders, (3) replace carbons by N, O, F where the valence allows. `chemistry` filters each move.
"""

from collections.abc import Callable, Iterable, Iterator

from rdkit import Chem

from mini.chemistry import hydrocarbon_is_reasonable, is_reasonable, skeleton_is_reasonable

VALENCE = {6: 4, 7: 3, 8: 2, 9: 1}
_SINGLE, _DOUBLE, _TRIPLE = Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE


def enumerate_molecules(heavy_atoms: int) -> list[str]:
    """Sorted canonical SMILES (no stereo) of all reasonable neutral C, N, O, F molecules of that many heavy atoms."""
    return sorted({smiles for hydrocarbon in hydrocarbons(heavy_atoms) for smiles in _with_heteroatoms(hydrocarbon)})


def skeletons(heavy_atoms: int) -> list[str]:
    """Sorted canonical SMILES of all saturated hydrocarbons of that many carbons that keep the ring rules."""
    level = {"C"}
    for _ in range(heavy_atoms - 1):
        level = _closure(_moves(level, _added_atoms), _closed_rings, skeleton_is_reasonable)
    return sorted(level)


def hydrocarbons(heavy_atoms: int) -> list[str]:
    """Sorted canonical SMILES of all hydrocarbons of that many carbons that keep the ring and strain rules."""
    return sorted(_closure(skeletons(heavy_atoms), _raised_bonds, hydrocarbon_is_reasonable))


def _closure(
    start: Iterable[str], moves: Callable[[Chem.Mol], Iterator[Chem.Mol]], allowed: Callable[[Chem.Mol], bool]
) -> set[str]:
    """Everything reachable from `start` by repeated moves through allowed molecules."""
    found: set[str] = set()
    border = {smiles for smiles in start if allowed(Chem.MolFromSmiles(smiles))}
    while border:
        found |= border
        border = {
            smiles for smiles in _moves(border, moves) if smiles not in found and allowed(Chem.MolFromSmiles(smiles))
        }
    return found


def _moves(level: Iterable[str], moves: Callable[[Chem.Mol], Iterator[Chem.Mol]]) -> set[str]:
    return {Chem.MolToSmiles(moved) for smiles in level for moved in moves(_kekule(smiles))}


def _kekule(smiles: str) -> Chem.Mol:
    mol = Chem.MolFromSmiles(smiles)
    Chem.Kekulize(mol, clearAromaticFlags=True)
    return mol


def _sanitised(editable: Chem.RWMol) -> Chem.Mol:
    mol = editable.GetMol()
    Chem.SanitizeMol(mol)
    return mol


def _free(atom: Chem.Atom) -> int:
    """Bonds that the atom can still form."""
    return VALENCE[atom.GetAtomicNum()] - _used(atom)


def _used(atom: Chem.Atom) -> int:
    return int(sum(bond.GetBondTypeAsDouble() for bond in atom.GetBonds()))


def _added_atoms(mol: Chem.Mol) -> Iterator[Chem.Mol]:
    for atom in mol.GetAtoms():
        if _free(atom):
            editable = Chem.RWMol(mol)
            editable.AddBond(atom.GetIdx(), editable.AddAtom(Chem.Atom(6)), _SINGLE)
            yield _sanitised(editable)


def _closed_rings(mol: Chem.Mol) -> Iterator[Chem.Mol]:
    atoms = [atom.GetIdx() for atom in mol.GetAtoms() if _free(atom)]
    for i in atoms:
        for j in atoms:
            if i < j and mol.GetBondBetweenAtoms(i, j) is None:
                editable = Chem.RWMol(mol)
                editable.AddBond(i, j, _SINGLE)
                yield _sanitised(editable)


def _raised_bonds(mol: Chem.Mol) -> Iterator[Chem.Mol]:
    for bond in mol.GetBonds():
        if bond.GetBondType() != _TRIPLE and _free(bond.GetBeginAtom()) and _free(bond.GetEndAtom()):
            editable = Chem.RWMol(mol)
            raised = _DOUBLE if bond.GetBondType() == _SINGLE else _TRIPLE
            editable.GetBondWithIdx(bond.GetIdx()).SetBondType(raised)
            yield _sanitised(editable)


def _with_heteroatoms(hydrocarbon: str) -> Iterator[str]:
    """Canonical SMILES of the reasonable molecules with this hydrocarbon's bonds and any C, N, O, F at its atoms."""
    mol = _kekule(hydrocarbon)
    choices = [[z for z in VALENCE if VALENCE[z] >= _used(atom)] for atom in mol.GetAtoms()]
    neighbours = [[n.GetIdx() for n in atom.GetNeighbors() if n.GetIdx() < atom.GetIdx()] for atom in mol.GetAtoms()]
    seen = set()
    for elements in _assignments(choices, neighbours):
        editable = Chem.RWMol(mol)
        for index, element in enumerate(elements):
            atom = editable.GetAtomWithIdx(index)
            atom.SetAtomicNum(element)
            atom.SetNoImplicit(False)
            atom.SetNumExplicitHs(0)
        substituted = _sanitised(editable)
        smiles = Chem.MolToSmiles(substituted)
        if smiles not in seen:
            seen.add(smiles)
            if is_reasonable(substituted):
                yield smiles


def _assignments(choices: list[list[int]], neighbours: list[list[int]]) -> Iterator[tuple[int, ...]]:
    """Elements for all atoms, pruned early: O and F bind to no O or F, and carbons are not far outnumbered."""

    def extend(chosen: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        index = len(chosen)
        if index == len(choices):
            yield chosen
            return
        for element in choices[index]:
            if element >= 8 and any(chosen[n] >= 8 for n in neighbours[index]):
                continue
            yield from extend((*chosen, element))

    for elements in extend(()):
        carbons = elements.count(6)
        if len(elements) - carbons <= carbons + 2 and elements.count(9) <= 3:
            yield elements
