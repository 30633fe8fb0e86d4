"""Bond lengths, angles and torsions against RDKit and loops over atoms."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from bonded_chains import chain
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

from latent3d.data.molecules import internal_coordinates as module
from latent3d.data.molecules.internal_coordinates import AROMATIC, LINEAR, internal_coordinates
from latent3d.data.molecules.molecules import Molecule, Molecules, from_list
from latent3d.data.molecules.parquet import read_parquet
from latent3d.data.molecules.rdkit import sanitised

pytestmark = pytest.mark.filterwarnings("error")

NAMES = ("bond_length", "bond_angle", "torsion")
HOOH = (1, 8, 8, 1)
MINI = Path(__file__).parents[2] / "resources" / "mini.parquet"


def all_coordinates(molecules: Molecules, kinds: np.ndarray | None = None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Keys and values of each name, with the bond orders as kinds unless others are given."""
    kinds = molecules.bond_orders if kinds is None else kinds
    blocks = list(internal_coordinates(molecules, kinds, np.ones(len(molecules), bool)))
    return {name: tuple(np.concatenate(x) for x in zip(*(b[name] for b in blocks), strict=True)) for name in NAMES}


def naive(mol: Chem.Mol) -> dict[str, list[tuple[tuple, float]]]:
    """(type as a tuple, value by RDKit) of every bond, angle and torsion, by loops over atoms."""
    conformer = mol.GetConformer()
    neighbours = [sorted(n.GetIdx() for n in atom.GetNeighbors()) for atom in mol.GetAtoms()]

    def label(*atoms: int) -> tuple:
        words: list = [mol.GetAtomWithIdx(atoms[0]).GetSymbol()]
        for a, b in pairwise(atoms):
            words += [str(mol.GetBondBetweenAtoms(a, b).GetBondType()), mol.GetAtomWithIdx(b).GetSymbol()]
        return min(tuple(words), tuple(words[::-1]))

    def angle(i: int, j: int, k: int) -> float:
        return rdMolTransforms.GetAngleDeg(conformer, i, j, k)

    found: dict[str, list[tuple[tuple, float]]] = {name: [] for name in NAMES}
    for j, around in enumerate(neighbours):
        for i, k in combinations(around, 2):
            found["bond_angle"].append((label(i, j, k), angle(i, j, k)))
        for k in (k for k in around if k > j):
            found["bond_length"].append((label(j, k), rdMolTransforms.GetBondLength(conformer, j, k)))
            for i in neighbours[j]:
                for last in neighbours[k]:
                    if len({i, j, k, last}) == 4 and max(angle(i, j, k), angle(j, k, last)) < 180 - LINEAR:
                        value = rdMolTransforms.GetDihedralDeg(conformer, i, j, k, last)
                        found["torsion"].append((label(i, j, k, last), value))
    return found


@pytest.fixture(scope="module")
def aromatic_mini() -> tuple[Molecules, np.ndarray, list[Chem.Mol]]:
    """Every 40th molecule of mini, kinds of its bonds, and the same molecules by RDKit."""
    molecules = read_parquet(MINI)
    molecules = molecules.take(np.arange(0, len(molecules), 40))
    mols = [sanitised(molecule) for molecule in molecules]
    kinds = molecules.bond_orders.copy()
    kinds[[bond.GetIsAromatic() for mol in mols for bond in mol.GetBonds()]] = AROMATIC
    return molecules, kinds, mols


def test_values_types_and_number_are_those_of_rdkit_and_loops(aromatic_mini: tuple) -> None:
    molecules, kinds, mols = aromatic_mini
    ours = all_coordinates(molecules, kinds)
    theirs = [naive(mol) for mol in mols]
    for name in NAMES:
        by_key, by_label = defaultdict(list), defaultdict(list)
        for key, value in zip(*ours[name], strict=True):
            if not np.isnan(value):
                by_key[key].append(value)
        for label, value in (pair for found in theirs for pair in found[name]):
            by_label[label].append(value)
        assert sum(map(len, by_label.values())) > 1000
        assert any("AROMATIC" in label for label in by_label)
        # Equal sets of sorted values mean that keys and labels name the same types, one to one.
        assert len(by_key) == len(by_label)
        remaining = {label: _sorted(values) for label, values in by_label.items()}
        for values in map(_sorted, by_key.values()):
            twins = [
                label
                for label, other in remaining.items()
                if len(other) == len(values) and np.allclose(other, values, atol=2e-3)
            ]
            assert twins
            del remaining[twins[0]]


def _sorted(values: list[float]) -> np.ndarray:
    """Sorted, with -180 counted as 180: a flat torsion may be either."""
    values = np.asarray(values)
    return np.sort(np.where(values < -179.99, values + 360, values))


def test_known_values() -> None:
    found = all_coordinates(from_list([chain(HOOH, [(0, 0, 1), (0, 0, 0), (2, 0, 0), (2, 1, 0)])]))
    assert sorted(found["bond_length"][1]) == [1, 1, 2]
    np.testing.assert_allclose(found["bond_angle"][1], [90, 90])
    # Seen along the middle bond (+x), the rear bond (+y) is turned against the front one (+z); clockwise is positive.
    clockwise = all_coordinates(from_list([chain(HOOH, [(0, 0, 1), (0, 0, 0), (2, 0, 0), (2, -1, 0)])]))
    np.testing.assert_allclose(np.concatenate([found["torsion"][1], clockwise["torsion"][1]]), [-90, 90])


def test_both_directions_are_the_same_type_and_value() -> None:
    positions = np.random.default_rng(0).normal(size=(4, 3))
    forward = chain((1, 6, 7, 8), positions)
    backward = chain((8, 7, 6, 1), positions[::-1])
    other = chain((1, 7, 6, 8), positions)
    found = [all_coordinates(from_list([molecule])) for molecule in (forward, backward, other)]
    for name in NAMES:
        order = [np.argsort(coordinates[name][0]) for coordinates in found[:2]]
        keys, values = zip(*([x[o] for x in c[name]] for c, o in zip(found[:2], order, strict=True)), strict=True)
        np.testing.assert_array_equal(*keys)
        np.testing.assert_allclose(*values)
    assert found[0]["torsion"][0] != found[2]["torsion"][0]


def test_elements_and_bond_kinds_distinguish_types_however_large_the_atomic_number() -> None:
    positions = np.random.default_rng(0).normal(size=(4, 3))
    elements = [(1, 6, 6, 1), (255, 255, 255, 255), (255, 127, 255, 255)]
    molecules = from_list([chain(chosen, positions) for chosen in elements])
    keys = []
    for kinds in ((1, 1, 1), (1, 2, 1), (1, 3, 1), (1, 4, 1), (4, 4, 4), (2, 1, 1)):
        keys += all_coordinates(molecules, np.array(kinds * 3, np.uint8))["torsion"][0].tolist()
    # None of these chains is another one read backwards.
    assert len(set(keys)) == len(keys) == 18
    assert 0 < min(keys) < max(keys) < 2**41


def test_a_three_membered_ring_has_no_torsion_within() -> None:
    triangle = chain((6, 6, 6), [(0, 0, 0), (1, 0, 0), (0, 1, 0)])
    bonds = np.array([[0, 1], [1, 2], [0, 2]], np.int16)
    ring = replace(triangle, bonds=bonds, bond_orders=np.ones(3, np.uint8))
    found = all_coordinates(from_list([ring]))
    assert [len(found[name][1]) for name in NAMES] == [3, 3, 0]


@pytest.mark.parametrize(("bend", "defined"), [(0.0, False), (0.9 * LINEAR, False), (1.1 * LINEAR, True)])
def test_straight_chains_have_no_torsion(bend: float, defined: bool) -> None:
    x, y = np.cos(np.radians(bend)), np.sin(np.radians(bend))
    for first in ((-x, y, 0), (x, y, 0)):  # straight, folded back
        for atoms in ((first, (0, 0, 0), (1, 0, 0), (1, 0, 1)), ((1, 0, 1), (1, 0, 0), (0, 0, 0), first)):
            assert (~np.isnan(all_coordinates(from_list([chain(HOOH, atoms)]))["torsion"][1])).tolist() == [defined]


def test_atoms_that_coincide_leave_the_length_alone() -> None:
    found = all_coordinates(from_list([chain(HOOH, [(0, 0, 0), (0, 0, 0), (1, 0, 0), (1, 1, 0)])]))
    assert sorted(found["bond_length"][1]) == [0, 1, 1]
    assert np.isnan(found["bond_angle"][1]).sum() == 1
    assert np.isnan(found["torsion"][1]).all()


def test_only_usable_molecules_are_read(from_smiles: Callable[[str], Molecule]) -> None:
    ethanol = from_smiles("CCO")
    broken = replace(ethanol, positions=np.full((9, 3), np.nan, np.float32))
    without_bonds = Molecule(ethanol.atomic_numbers, ethanol.positions)
    molecules = from_list([broken, ethanol, without_bonds, ethanol])
    found = list(internal_coordinates(molecules, molecules.bond_orders, np.array([False, True, True, False])))
    # 8 bonds; angles 6 + 6 at the carbons and 1 at the oxygen; torsions 9 about CC and 3 about CO.
    assert [len(found[0][name][1]) for name in NAMES] == [8, 13, 12]
    assert not np.isnan(found[0]["torsion"][1]).any()
    with pytest.raises(ValueError, match="not finite"):
        next(internal_coordinates(molecules, molecules.bond_orders, np.ones(4, bool)))
    assert not list(internal_coordinates(molecules, molecules.bond_orders, np.zeros(4, bool)))


def test_blocks_do_not_show(dataset: Molecules, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = all_coordinates(dataset)
    monkeypatch.setattr(module, "_BLOCK", 7)
    for name, (keys, values) in all_coordinates(dataset).items():
        assert Counter(zip(keys, values, strict=True)) == Counter(zip(*whole[name], strict=True))
