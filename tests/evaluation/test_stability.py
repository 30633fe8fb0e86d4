from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from latent3d.data.molecules.internal_coordinates import AROMATIC
from latent3d.data.molecules.molecules import Molecule, Molecules, from_list
from latent3d.data.molecules.parquet import read_parquet
from latent3d.data.molecules.rdkit import from_rdkit, sanitised
from latent3d.evaluation.validity.edm_protocol import stable_molecules
from latent3d.evaluation.validity.valences import ValenceTable, bond_kinds, describe, valence_codes

MINI = Path(__file__).parents[2] / "resources" / "mini.parquet"

GROUPS = {
    "benzene": "c1ccccc1",
    "pyrrole": "c1cc[nH]c1",
    "naphthalene": "c1ccc2ccccc2c1",
    "nitro": "C[N+](=O)[O-]",
    "sulfone": "CS(C)(=O)=O",
    "azide": "CN=[N+]=[N-]",
    "N-oxide": "C[N+](C)(C)[O-]",
    "aromatic N-oxide": "[O-][n+]1ccccc1",
    "ammonium": "C[NH3+]",
    "pyridinium": "C[n+]1ccccc1",
    "cyclopentadienyl": "c1cc[cH-]c1",
    "imidazolium": "C[n+]1cc[nH]c1",
    "ethene": "C=C",
    "isonitrile": "C[N+]#[C-]",
}


def molecule_of(smiles):
    return from_rdkit(Chem.AddHs(Chem.MolFromSmiles(smiles)))


def codes_of(*molecules, aromatic=True):
    """Valence codes; with `aromatic=False` as of molecules that RDKit refuses: by their Kekule orders."""
    kinds = [bond_kinds(m, sanitised(m) if aromatic else None) for m in molecules]
    return valence_codes(from_list(molecules), np.concatenate(kinds))


def atoms_and_bonds(atoms, bonds):
    """A molecule of (atomic number, charge) and (i, j, order)."""
    return Molecule(
        np.array([number for number, _ in atoms], np.uint8),
        np.zeros((len(atoms), 3), np.float32),
        np.array([bond[:2] for bond in bonds], np.int16).reshape(-1, 2),
        np.array([order for *_, order in bonds], np.uint8),
        np.array([charge for _, charge in atoms], np.int8),
    )


def centre_with(hydrogens, number=6, charge=0):
    return atoms_and_bonds([(number, charge)] + [(1, 0)] * hydrogens, [(0, i + 1, 1) for i in range(hydrogens)])


@pytest.fixture(scope="module")
def table():
    return ValenceTable.collect(codes_of(*map(molecule_of, GROUPS.values())))


def plain_codes(molecule, mol):
    """Element, charge, aromatic bonds and sum of the other orders of each atom, by loops over RDKit's objects."""
    found = []
    for i, atom in enumerate(mol.GetAtoms()):
        orders = [
            (bond.GetIsAromatic(), int(order))
            for bond, order in zip(mol.GetBonds(), molecule.bond_orders, strict=True)
            if i in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
        ]
        others = sum(order for aromatic, order in orders if not aromatic)
        found.append((atom.GetAtomicNum(), atom.GetFormalCharge(), sum(a for a, _ in orders), others))
    return found


def test_codes_equal_a_plain_count():
    molecules = [molecule_of(smiles) for smiles in GROUPS.values()]
    unpacked = [
        (code >> 48, (code >> 40 & 255) - 128, code >> 24 & 65535, code & (1 << 24) - 1)
        for code in codes_of(*molecules).tolist()
    ]
    assert unpacked == [code for m in molecules for code in plain_codes(m, sanitised(m))]


@pytest.mark.parametrize("name", GROUPS)
def test_what_the_reference_has_is_stable_in_both_codings(table, name):
    molecule = molecule_of(GROUPS[name])
    assert table.allows(codes_of(molecule)).all()
    # Without aromaticity: as beside a broken atom, where RDKit refuses the molecule.
    assert table.allows(codes_of(molecule, aromatic=False)).all()


def test_a_sulfone_is_stable_only_where_the_reference_has_one(table):
    sulfone = molecule_of(GROUPS["sulfone"])
    without = ValenceTable.collect(codes_of(*(molecule_of(s) for name, s in GROUPS.items() if name != "sulfone")))
    assert table.allows(codes_of(sulfone)).all()
    assert without.allows(codes_of(sulfone)).tolist() == [number != 16 for number in sulfone.atomic_numbers]


def test_broken_atoms(table):
    # Benzene with an oxygen more on one carbon.
    ring = [(i, (i + 1) % 6, 1 + i % 2) for i in range(6)] + [(i, i + 6, 1) for i in range(1, 6)]
    crowded = atoms_and_bonds([(6, 0)] * 6 + [(8, 0)] + [(1, 0)] * 5, [*ring, (0, 6, 2)])
    cases = {
        "C(+5)H4": (centre_with(4, charge=5), "C+5 with bond orders 4"),
        "methyl": (centre_with(3), "C with bond orders 3"),
        "bare carbon": (centre_with(0), "C with bond orders 0"),
        "five hydrogens": (centre_with(5), "C with bond orders 5"),
        "neutral ammonium": (centre_with(4, number=7), "N with bond orders 4"),
        "C(-5)": (centre_with(4, charge=-5), "C-5 with bond orders 4"),
        "fluoride, not in the reference": (centre_with(1, number=9), "F with bond orders 1"),
        "order 7": (atoms_and_bonds([(6, 0), (1, 0)], [(0, 1, 7)]), "C with an impossible bond order"),
        # An order of 4 in a molecule is no aromatic bond: a single C-C coded 4 must not become stable.
        "order 4": (atoms_and_bonds([(6, 0), (6, 0)], [(0, 1, 4)]), "C with an impossible bond order"),
        "no such element": (atoms_and_bonds([(250, 0)], []), "element 250 with bond orders 0"),
        "double bond at an aromatic ring": (crowded, "C with bond orders 5"),
    }
    for name, (molecule, reason) in cases.items():
        codes = codes_of(molecule)
        unstable = np.flatnonzero(~table.allows(codes))
        assert unstable[0] == 0, name
        assert describe(codes[0]) == reason, name
    # The rest of the ring beside the broken atom stays stable, though RDKit refuses the molecule.
    assert table.allows(codes_of(crowded)).tolist() == [False] + [True] * 11


def test_aromatic_bonds_are_not_single_bonds(table):
    # Three aromatic bonds and a double one: 3 + 2 = 5 if they were single, 4.5 + 2 if they were of order 1.5.
    naphthalene = molecule_of(GROUPS["naphthalene"])
    n = len(naphthalene)
    mol = sanitised(naphthalene)
    fused = next(atom.GetIdx() for atom in mol.GetAtoms() if atom.IsInRingSize(6) and atom.GetTotalNumHs(True) == 0)
    broken = Molecule(
        np.append(naphthalene.atomic_numbers, 8).astype(np.uint8),
        np.zeros((n + 1, 3), np.float32),
        np.vstack([naphthalene.bonds, [fused, n]]).astype(np.int16),
        np.append(naphthalene.bond_orders, 2).astype(np.uint8),
        np.zeros(n + 1, np.int8),
    )
    kinds = np.append(bond_kinds(naphthalene, mol), 2).astype(np.uint8)
    codes = valence_codes(from_list([broken]), kinds)
    assert describe(codes[fused]) == "C with 3 aromatic bonds and other orders 2"
    assert np.flatnonzero(~table.allows(codes)).tolist() == [fused]
    # One aromatic bond, as an isolated C-C coded 4 would have.
    single = valence_codes(from_list([molecule_of("CC")]), np.array([AROMATIC, 1, 1, 1, 1, 1, 1], np.uint8))
    assert describe(single[0]) == "C with 1 aromatic bond and other orders 3"
    assert not table.allows(single[:2]).any()


def test_unknown_bonds_and_empty_molecules_are_not_stable(table):
    methane, empty = centre_with(4), atoms_and_bonds([], [])
    molecules = from_list([methane, Molecule(methane.atomic_numbers, methane.positions), empty, methane])
    codes = valence_codes(molecules, np.ones(8, np.uint8))
    stable = table.allows(codes)
    assert stable.tolist() == [True] * 5 + [False] * 5 + [True] * 5
    assert stable_molecules(molecules, stable).tolist() == [True, False, False, True]
    assert describe(codes[5]) == "bonds unknown"
    # Atoms without bonds do not enter a table.
    assert ValenceTable.collect(codes).counts.sum() == 10
    assert not ValenceTable.collect(codes[5:10]).allows(codes).any()


def test_rare_combinations_of_the_reference_are_not_allowed():
    common, rare = codes_of(centre_with(4)), codes_of(centre_with(5))[:1]
    few, many = (ValenceTable.collect(np.concatenate([np.tile(common, n), rare])) for n in (99_000, 101_000))
    assert few.allows(rare) and not many.allows(rare)
    assert many.allows(common).all()
    assert rare[0] in many.codes and many.counts.sum() == 505_001


def test_a_table_comes_back_from_its_arrays(table):
    again = ValenceTable.from_arrays(table.to_arrays())
    for field in fields(ValenceTable):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(table, field.name))


def test_the_input_is_never_changed():
    molecules = [molecule_of(smiles) for smiles in GROUPS.values()]
    mols = [sanitised(molecule) for molecule in molecules]
    packed = from_list(molecules)
    before = [getattr(packed, f.name).copy() for f in fields(Molecules) if f.name not in ("table", "units")]
    blocks = [Chem.MolToMolBlock(mol, kekulize=False) for mol in mols]
    kinds = np.concatenate([bond_kinds(m, mol) for m, mol in zip(packed, mols, strict=True)])
    kept = kinds.copy()
    codes = valence_codes(packed, kinds)
    ValenceTable.collect(codes).allows(codes)
    for old, f in zip(before, (f for f in fields(Molecules) if f.name not in ("table", "units")), strict=True):
        np.testing.assert_array_equal(old, getattr(packed, f.name))
    np.testing.assert_array_equal(kept, kinds)
    assert [Chem.MolToMolBlock(mol, kekulize=False) for mol in mols] == blocks
    assert not (packed.bond_orders == AROMATIC).any()


def test_test_molecules_are_stable_by_the_training_molecules():
    molecules = read_parquet(MINI)
    train, test = (list(molecules.split(name)) for name in ("train", "test"))
    table = ValenceTable.collect(codes_of(*train))
    assert table.allows(codes_of(*test)).all()
    # A hydrogen too few, or a charge that is not there, is seen in every one of them.
    for molecule in test:
        ends = molecule.bonds[0]
        fewer = replace(molecule, bonds=molecule.bonds[1:], bond_orders=molecule.bond_orders[1:])
        assert not table.allows(codes_of(fewer))[ends].all()
        charged = replace(molecule, formal_charges=np.ones(len(molecule), np.int8))
        assert not table.allows(codes_of(charged)).any()
