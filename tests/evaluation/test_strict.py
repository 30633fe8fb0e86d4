from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem

from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.rdkit import canonical_smiles
from latent3d.evaluation.validity import edm_protocol
from latent3d.evaluation.validity.strict import strict_validity

ELEMENTS = {1, 6, 7, 8, 9}


def without_atoms(molecule, gone):
    """The molecule without some atoms and their bonds."""
    kept = [i for i in range(len(molecule)) if i not in gone]
    bonds = [(kept.index(i), kept.index(j), k) for k, (i, j) in enumerate(molecule.bonds.tolist())
             if i in kept and j in kept]  # fmt: skip
    return Molecule(
        molecule.atomic_numbers[kept],
        molecule.positions[kept],
        np.array([b[:2] for b in bonds], np.int16).reshape(-1, 2),
        molecule.bond_orders[[b[2] for b in bonds]],
        molecule.formal_charges[kept],
    )


def merged(a, b):
    return Molecule(
        np.concatenate([a.atomic_numbers, b.atomic_numbers]),
        np.concatenate([a.positions, b.positions + 20]),
        np.concatenate([a.bonds, b.bonds + len(a)]).astype(np.int16),
        np.concatenate([a.bond_orders, b.bond_orders]),
        np.concatenate([a.formal_charges, b.formal_charges]),
    )


def moved(molecule, atom, position):
    positions = molecule.positions.copy()
    positions[atom] = position
    return replace(molecule, positions=positions)


def unbonded(molecule):
    return Molecule(molecule.atomic_numbers, molecule.positions)


def status_of(molecule, sample_status="ok"):
    return strict_validity(from_list([molecule]), ELEMENTS, [sample_status]).status[0]


def test_sound_molecules_are_valid(dataset):
    result = strict_validity(dataset, ELEMENTS)
    assert result.status == ["ok"] * len(dataset)
    assert result.smiles == dataset.table["smiles"].tolist()


def test_sound_molecules_are_valid_without_their_bonds(dataset):
    result = strict_validity(from_list([unbonded(m) for m in dataset]), ELEMENTS)
    assert result.status == ["ok"] * len(dataset)
    assert result.smiles == dataset.table["smiles"].tolist()


def test_every_defect_has_its_reason(from_smiles):
    methane, ethane, ethanol = from_smiles("C"), from_smiles("CC"), from_smiles("CCO")
    five_bonds = merged(methane, methane)
    five_bonds = replace(
        five_bonds,
        bonds=np.append(five_bonds.bonds, [[0, 5]], axis=0).astype(np.int16),
        bond_orders=np.append(five_bonds.bond_orders, [1]).astype(np.uint8),
    )
    empty = Molecule(np.zeros(0, np.uint8), np.zeros((0, 3), np.float32))
    chain = Molecule(np.full(600, 6, np.uint8), np.arange(1800, dtype=np.float32).reshape(600, 3))
    cases = {
        "methyl": (without_atoms(methane, {4}), "radical"),
        "bare carbon": (without_atoms(methane, {1, 2, 3, 4}), "radical"),
        "C-C": (without_atoms(ethane, set(range(2, 8))), "radical"),
        "two fragments": (merged(methane, ethanol), "fragments"),
        "ammonium": (from_smiles("[NH4+]"), "charged"),
        "five bonds at carbon": (five_bonds, "sanitise_failed"),
        "impossible order": (replace(methane, bond_orders=np.array([1, 1, 1, 7], np.uint8)), "sanitise_failed"),
        "bond to itself": (replace(methane, bonds=np.zeros_like(methane.bonds)), "sanitise_failed"),
        "NaN": (moved(ethanol, 3, np.nan), "nan_coordinates"),
        "infinite": (moved(ethanol, 3, np.inf), "nan_coordinates"),
        "overlap": (moved(ethanol, 4, ethanol.positions[5] + [0.3, 0, 0]), "atoms_overlap"),
        "silane": (from_smiles("[SiH4]"), "foreign_element"),
        "dummy": (replace(methane, atomic_numbers=np.array([0, 1, 1, 1, 1], np.uint8)), "foreign_element"),
        "no such element": (replace(methane, atomic_numbers=np.array([250, 1, 1, 1, 1], np.uint8)), "foreign_element"),
        "empty": (empty, "decode_failed"),
        "600 atoms": (chain, "too_large"),
    }
    assert {name: status_of(molecule) for name, (molecule, _) in cases.items()} == {
        name: reason for name, (_, reason) in cases.items()
    }


def test_defects_of_bare_coordinates(from_smiles):
    methane = from_smiles("C")
    assert status_of(unbonded(without_atoms(methane, {4}))) == "odd_electrons"
    assert status_of(unbonded(merged(methane, methane))) == "fragments"
    assert status_of(unbonded(without_atoms(methane, {3, 4}))) in ("radical", "sanitise_failed")


def test_sanitising_alone_is_not_enough(from_smiles):
    methane = from_smiles("C")
    methyl, carbon = without_atoms(methane, {4}), without_atoms(methane, {1, 2, 3, 4})
    samples = from_list([methane, methyl, carbon])
    strict = strict_validity(samples, ELEMENTS)
    assert strict.status == ["ok", "radical", "radical"]
    # V and V&C let radicals pass, as does the legacy validity, which adds their hydrogens.
    assert strict.sanitises == strict.connected == [True] * 3
    assert all(edm_protocol.judge(samples, np.ones(3, bool)).smiles)
    assert [text is None for text in strict.smiles] == [False, True, True]


def test_validity_connected_and_strict_are_nested(from_smiles):
    methane, ethanol = from_smiles("C"), from_smiles("CCO")
    five_bonds = replace(methane, bond_orders=np.array([1, 1, 1, 2], np.uint8))
    cases = {
        # status, sanitises, connected, has a graph
        "sound": (ethanol, "ok", True, True, True),
        "sound, bonds unknown": (unbonded(ethanol), "ok", True, True, True),
        "pieces": (merged(methane, ethanol), "fragments", True, False, True),
        "radical pieces": (merged(without_atoms(methane, {4}), ethanol), "radical", True, False, True),
        "five bonds": (five_bonds, "sanitise_failed", False, False, True),
        # A graph of its own is judged whatever the coordinates are; without one, there is nothing to judge.
        "NaN": (moved(ethanol, 3, np.nan), "nan_coordinates", True, True, True),
        "NaN, bonds unknown": (unbonded(moved(ethanol, 3, np.nan)), "nan_coordinates", False, False, False),
        "overlap": (moved(ethanol, 4, ethanol.positions[5]), "atoms_overlap", True, True, True),
        "overlap, bonds unknown": (
            unbonded(moved(ethanol, 4, ethanol.positions[5])), "atoms_overlap", False, False, False
        ),
        "foreign": (from_smiles("C[SiH3]"), "foreign_element", True, True, True),
        "no element": (replace(methane, atomic_numbers=np.array([0, 1, 1, 1, 1], np.uint8)),
                       "foreign_element", False, False, False),
        "empty": (Molecule(np.zeros(0, np.uint8), np.zeros((0, 3), np.float32)), "decode_failed", False, False, False),
    }  # fmt: skip
    result = strict_validity(from_list([molecule for molecule, *_ in cases.values()]), ELEMENTS)
    found = zip(
        result.status, result.sanitises, result.connected, [graph.bonds is not None for graph in result.graphs],
        strict=True,
    )  # fmt: skip
    assert dict(zip(cases, found, strict=True)) == {name: tuple(expected) for name, (_, *expected) in cases.items()}
    assert [mol is not None for mol in result.mols] == result.sanitises


def test_a_failed_sample_fails_every_test(from_smiles):
    result = strict_validity(from_list([from_smiles("CCO")]), ELEMENTS, ["ff_untyped"])
    assert (result.status, result.sanitises, result.connected) == (["ff_untyped"], [False], [False])
    assert result.graphs[0].bonds is None and result.mols == result.smiles == [None]


def test_graphs_are_those_that_were_judged(dataset):
    # Perceived once: what later metrics look at is what was judged, with the positions as they came.
    own = strict_validity(dataset, ELEMENTS)
    perceived = strict_validity(from_list([unbonded(m) for m in dataset]), ELEMENTS)
    for molecule, kept, found, mol in zip(dataset, own.graphs, perceived.graphs, perceived.mols, strict=True):
        np.testing.assert_array_equal(kept.bonds, molecule.bonds)
        np.testing.assert_array_equal(found.positions, molecule.positions)
        assert {tuple(sorted(b)) for b in found.bonds.tolist()} == {tuple(sorted(b)) for b in molecule.bonds.tolist()}
        assert [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds()] == [tuple(b) for b in found.bonds]
        assert all(atom.GetNoImplicit() for atom in mol.GetAtoms())


def test_random_clouds_are_not_valid(dataset):
    large = dataset.take(dataset.atom_counts > 9)
    random = np.random.default_rng(0)
    samples = large.take(np.arange(100) % len(large))
    clouds = from_list([Molecule(m.atomic_numbers, random.normal(0, 1.3, (len(m), 3))) for m in samples])
    result = strict_validity(clouds, ELEMENTS)
    assert "ok" not in result.status
    assert sum(result.connected) <= sum(result.sanitises) <= 5


def test_samples_without_coordinates_are_judged_by_their_graphs(dataset):
    flat = dataset.with_positions(np.full_like(dataset.positions, np.nan))
    assert strict_validity(flat, ELEMENTS).status == ["nan_coordinates"] * len(flat)
    result = strict_validity(flat, ELEMENTS, coordinates=False)
    assert result.status == ["ok"] * len(flat)
    assert result.smiles == dataset.table["smiles"].tolist()
    # Zeros, as some writers put them, are no overlap then.
    flat = dataset.with_positions(np.zeros_like(dataset.positions))
    assert strict_validity(flat, ELEMENTS, coordinates=False).status == ["ok"] * len(flat)


def test_nothing_to_judge():
    result = strict_validity(from_list([]), ELEMENTS)
    assert result == type(result)([], [], [], [], [], [])


def test_overlap_threshold(from_smiles):
    hydrogen = from_smiles("[H][H]")
    assert status_of(moved(hydrogen, 1, hydrogen.positions[0] + [0.49, 0, 0])) == "atoms_overlap"
    assert status_of(moved(hydrogen, 1, hydrogen.positions[0] + [0.51, 0, 0])) == "ok"


def test_failed_samples_keep_their_reason(from_smiles):
    assert status_of(from_smiles("C"), "embed_failed") == "embed_failed"
    assert status_of(from_smiles("C"), "ff_untyped") == "ff_untyped"
    # An unconverged relaxation is judged as it stands.
    assert status_of(from_smiles("C"), "ff_unconverged") == "ok"


@pytest.mark.parametrize("smiles", ["c1ccccc1", "c1cc[nH]c1", "C[N+](=O)[O-]", "CS(=O)(=O)C", "CN=[N+]=[N-]"])
def test_aromatic_and_charge_separated_groups(from_smiles, smiles):
    result = strict_validity(from_list([from_smiles(smiles)]), ELEMENTS | {16})
    assert result.status == ["ok"]
    assert result.smiles == [canonical_smiles(Chem.MolFromSmiles(smiles))]
