"""Molecules to RDKit and back."""

import numpy as np
from rdkit import Chem
from rdkit.Geometry import Point3D

from latent3d.data.molecules.molecules import Molecule

_BOND_TYPES = {1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE}
_ORDERS = {kind: order for order, kind in _BOND_TYPES.items()}


def to_rdkit(molecule: Molecule) -> Chem.Mol:
    """An unsanitised RDKit molecule with all atoms explicit and implicit hydrogens forbidden.

    Carries a conformer if every coordinate is finite. Without known bonds the result has atoms only.
    Forbidding implicit hydrogens matters: sanitisation would else add them and call CH3 a valid molecule.
    """
    editable = Chem.RWMol()
    charges = np.zeros(len(molecule), int) if molecule.formal_charges is None else molecule.formal_charges
    for number, charge in zip(molecule.atomic_numbers.tolist(), charges.tolist(), strict=True):
        atom = Chem.Atom(number)
        atom.SetFormalCharge(charge)
        atom.SetNoImplicit(True)
        editable.AddAtom(atom)
    if molecule.bonds is not None:
        for (i, j), order in zip(molecule.bonds.tolist(), molecule.bond_orders.tolist(), strict=True):
            editable.AddBond(i, j, _BOND_TYPES[order])
    if len(molecule) and np.isfinite(molecule.positions).all():
        conformer = Chem.Conformer(len(molecule))
        for i, (x, y, z) in enumerate(molecule.positions.tolist()):
            conformer.SetAtomPosition(i, Point3D(x, y, z))
        editable.AddConformer(conformer, assignId=True)
    return editable.GetMol()


def sanitised(molecule: Molecule) -> Chem.Mol | None:
    """`to_rdkit`, sanitised; None if that fails or if the graph is impossible (bond orders, self-bonds, repeats)."""
    try:
        mol = to_rdkit(molecule)
        Chem.SanitizeMol(mol)
        return mol
    except (ValueError, RuntimeError, KeyError):
        return None


def from_rdkit(mol: Chem.Mol, conformer: int = -1) -> Molecule:
    """The RDKit molecule with Kekule bond orders. Hydrogens must be explicit. Without a conformer, positions are NaN.

    Raises:
        ValueError: a bond has no order 1, 2 or 3 after kekulisation, or the molecule cannot be kekulised.
    """
    mol = Chem.Mol(mol)
    Chem.Kekulize(mol, clearAromaticFlags=True)
    pairs, orders = [], []
    for bond in mol.GetBonds():
        if bond.GetBondType() not in _ORDERS:
            raise ValueError(f"bond order {bond.GetBondType()} is not 1, 2 or 3")
        pairs.append((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
        orders.append(_ORDERS[bond.GetBondType()])
    positions = np.full((mol.GetNumAtoms(), 3), np.nan, np.float32)
    if mol.GetNumConformers():
        positions = mol.GetConformer(conformer).GetPositions().astype(np.float32)
    return Molecule(
        np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], np.uint8),
        positions,
        np.array(pairs, np.int16).reshape(-1, 2),
        np.array(orders, np.uint8),
        np.array([atom.GetFormalCharge() for atom in mol.GetAtoms()], np.int8),
    )


def is_tangled(atoms: int, bonds: int) -> bool:
    """True for more than two bonds per atom: no molecule has them, and perceiving their rings can take hours."""
    return bonds > 2 * atoms


def canonical_smiles(mol: Chem.Mol, stereo: bool = False) -> str:
    """Canonical SMILES with hydrogens removed: the project's one canonicalisation (metrics, novelty, matching).

    `mol` must be sanitised. Applied alike to generated and reference molecules; stereochemistry off by default.
    """
    return Chem.MolToSmiles(Chem.RemoveHs(mol), isomericSmiles=stereo)
