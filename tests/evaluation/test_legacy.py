import math
from dataclasses import fields, replace

import numpy as np
import pytest
from rdkit import Chem

from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.parquet import read_parquet
from latent3d.evaluation.registry import LEGACY
from latent3d.evaluation.validity import edm_protocol
from latent3d.evaluation.validity.strict import strict_validity

SINGLE = {
    "HH": 74, "CH": 109, "HN": 101, "HO": 96, "FH": 92, "CC": 154, "CN": 147, "CO": 143, "CF": 135,
    "NN": 145, "NO": 140, "FN": 136, "OO": 148, "FO": 142, "FF": 142,
}  # fmt: skip
DOUBLE = {"CC": 134, "CN": 129, "CO": 120, "NN": 125, "NO": 121, "OO": 121}
TRIPLE = {"CC": 120, "CN": 116, "CO": 113, "NN": 110}
SYMBOLS = {1: "H", 6: "C", 7: "N", 8: "O", 9: "F"}
VALENCE = {"H": 1, "C": 4, "N": 3, "O": 2, "F": 1}


def plain_stable_atoms(molecule):
    """The EDM rule as two nested loops, written independently of the package."""
    total = [0] * len(molecule)
    for i in range(len(molecule)):
        for j in range(i):
            pair = "".join(sorted(SYMBOLS[int(molecule.atomic_numbers[k])] for k in (i, j)))
            d = 100 * math.dist(molecule.positions[i].astype(float), molecule.positions[j].astype(float))
            order = 0
            if d < SINGLE[pair] + 10:
                order = 1
                if pair in DOUBLE and d < DOUBLE[pair] + 5:
                    order = 2
                    if pair in TRIPLE and d < TRIPLE[pair] + 3:
                        order = 3
            total[i] += order
            total[j] += order
    return [total[i] == VALENCE[SYMBOLS[int(z)]] for i, z in enumerate(molecule.atomic_numbers)]


def noisy(dataset, noise, seed=0):
    move = np.random.default_rng(seed).normal(0, noise, dataset.positions.shape)
    return dataset.with_positions(dataset.positions + move)


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.2])
def test_equals_a_plain_double_loop(dataset, noise):
    molecules = noisy(dataset, noise)
    stable = edm_protocol.stable_atoms(molecules, edm_protocol.perceive(molecules))
    expected = [plain_stable_atoms(molecule) for molecule in molecules]
    assert stable.tolist() == [atom for molecule in expected for atom in molecule]
    assert edm_protocol.stable_molecules(molecules, stable).tolist() == [all(molecule) for molecule in expected]


@pytest.mark.parametrize("smiles", ["C[Si](C)(C)C", "CSSC", "CP(C)C", "BrCCBr", "ClCCl", "CI"])
def test_elements_beyond_qm9_bond_too(from_smiles, smiles):
    molecule = from_list([from_smiles(smiles)])
    bonds = edm_protocol.perceive(molecule)
    assert Chem.CanonSmiles(edm_protocol.smiles(molecule, bonds)[0]) == Chem.CanonSmiles(smiles)


def test_every_multiple_bond_has_a_single_one():
    """The rule is nested: without a single bond the double one could never be reached."""
    single, double, triple = (np.isfinite(table) for table in edm_protocol._THRESHOLDS)
    assert not (double & ~single).any() and not (triple & ~double).any()
    assert single.sum() == 2 * 64 - 11  # pairs of two elements stand twice


def test_thresholds_are_strict():
    # C-C single below 164 pm, double below 139, triple below 123; float32-exact distances either side.
    pairs = [Molecule(np.array([6, 6], np.uint8), np.array([[0, 0, 0], [d, 0, 0]], np.float32))
             for d in (1.63, 1.65, 1.38, 1.40, 1.22, 1.24)]  # fmt: skip
    assert edm_protocol.perceive(from_list(pairs)).orders.tolist() == [1, 2, 1, 3, 2]
    # 1.75 angstrom is exact in binary: S-Cl 207 + 10 aside, N-Cl bonds below 185, O-Cl below 174.
    for number, distance, bonded in ((7, 1.75, 1), (8, 1.75, 0)):
        pair = Molecule(np.array([17, number], np.uint8), np.array([[0, 0, 0], [0, distance, 0]], np.float32))
        assert len(edm_protocol.perceive(from_list([pair])).orders) == bonded


@pytest.fixture
def legacy_values(reference, quick_score):
    """(molecules, SMILES of training molecules) -> the values of the protocol."""

    def values(molecules, train):
        compared = replace(reference, legacy_smiles=frozenset(train))
        found = quick_score(molecules, compared)[1]["values"]
        return {quantity.name: found[quantity.name] for quantity in LEGACY}

    return values


def test_methyl_and_bare_carbon_are_valid_here_but_not_stable(from_smiles, legacy_values):
    methane = from_smiles("C")
    methyl, carbon = (Molecule(methane.atomic_numbers[:n], methane.positions[:n]) for n in (4, 1))
    verdicts = edm_protocol.judge(from_list([methane, methyl, carbon]), np.ones(3, bool))
    assert verdicts.atoms.tolist() == [5, 4, 1]
    assert verdicts.stable_atoms.tolist() == [5, 3, 0]
    assert verdicts.stable.tolist() == [True, False, False]
    values = legacy_values(from_list([methane, methyl, carbon]), {verdicts.smiles[0]})
    assert values == {
        "legacy_atom_stability": 8 / 10,
        "legacy_molecule_stability": 1 / 3,
        "ldm3dg_atom_stability": (1 + 3 / 4 + 0) / 3,
        "ldm3dg_molecule_stability": 1 / 3,
        "legacy_validity": 1,
        "legacy_geom_validity": 1,
        "legacy_uniqueness": 1,
        "legacy_novelty": 2 / 3,
    }


def test_verdicts_of_chunks_add_up(dataset):
    molecules = noisy(dataset, 0.1)
    usable = np.arange(len(molecules)) % 5 > 0
    whole = edm_protocol.judge(molecules, usable)
    halves = [
        edm_protocol.judge(molecules.take(half), usable[half]) for half in (np.arange(9), np.arange(9, len(molecules)))
    ]
    for field in fields(edm_protocol.LegacyVerdicts):
        joined = [item for half in halves for item in getattr(half, field.name)]
        assert list(getattr(whole, field.name)) == joined
    assert [text is None for text in whole.smiles][::5] == [True] * 3
    assert not whole.geom_valid[::5].any() and whole.geom_valid.any()


def clouds(count, width, seed=0):
    """Random H, C, N, O at independent normal positions."""
    random = np.random.default_rng(seed)
    return from_list(
        Molecule(random.choice([1, 6, 7, 8], 45).astype(np.uint8), random.normal(0, width, (45, 3)).astype(np.float32))
        for _ in range(count)
    )


def test_random_clouds_are_valid_on_geom():
    # Twice as wide as molecules of their size: 43 fragments of 45 atoms, as every atom alone is "valid".
    samples = clouds(200, 5.0)
    verdicts = edm_protocol.judge(samples, np.ones(200, bool))
    assert len(edm_protocol.perceive(samples).orders) / 200 < 2
    assert verdicts.geom_valid.mean() > 0.97
    assert not verdicts.stable.any() and verdicts.stable_atoms.sum() / verdicts.atoms.sum() < 0.03
    strict = strict_validity(samples, {1, 6, 7, 8})
    assert "ok" not in strict.status and not any(strict.connected)


@pytest.mark.parametrize("molecules", ["clouds", "dataset"])
def test_validity_on_geom_is_sanitisation_of_single_bonds(dataset, molecules):
    molecules = clouds(60, 2.2) if molecules == "clouds" else noisy(dataset.take(list(range(14)) * 5), 0.3)
    bonds = edm_protocol.perceive(molecules)
    owner = molecules.molecule_of_atom[bonds.pairs[:, 0]]
    expected = []
    for i, molecule in enumerate(molecules):
        mol = Chem.RWMol()
        for number in molecule.atomic_numbers.tolist():
            mol.AddAtom(Chem.Atom(number))
        for pair in (bonds.pairs[owner == i] - molecules.atom_offsets[i]).tolist():
            mol.AddBond(*pair, Chem.BondType.SINGLE)
        expected.append(Chem.SanitizeMol(mol, catchErrors=True) == Chem.SanitizeFlags.SANITIZE_NONE)
    assert 0.1 < np.mean(expected) < 0.95
    assert edm_protocol.geom_validity(molecules, bonds).tolist() == expected


def test_training_molecules_are_not_novel(dataset, legacy_values):
    train = set(edm_protocol.smiles(dataset, edm_protocol.perceive(dataset))) - {None}
    values = legacy_values(dataset, train)
    assert (values["legacy_novelty"], values["legacy_uniqueness"]) == (0, 1)
    assert legacy_values(dataset.take(list(range(len(dataset))) * 2), train)["legacy_uniqueness"] == 0.5
    assert legacy_values(dataset, set())["legacy_novelty"] == 1


def test_largest_fragment_is_compared(from_smiles):
    ethanol, methane = from_smiles("CCO"), from_smiles("C")
    both = Molecule(
        np.concatenate([methane.atomic_numbers, ethanol.atomic_numbers]),
        np.concatenate([methane.positions + 50, ethanol.positions]),
    )
    molecules = from_list([ethanol, both])
    assert len(set(edm_protocol.smiles(molecules, edm_protocol.perceive(molecules)))) == 1


def test_failures_and_odd_input_count_against_the_sample(from_smiles, legacy_values):
    methane = from_smiles("C")
    broken = Molecule(methane.atomic_numbers, np.full((5, 3), np.nan, np.float32))
    empty = Molecule(np.zeros(0, np.uint8), np.zeros((0, 3), np.float32))
    foreign = Molecule(np.array([0, 250], np.uint8), np.zeros((2, 3), np.float32))
    huge = Molecule(np.ones(5000, np.uint8), np.zeros((5000, 3), np.float32))
    samples = from_list([methane, broken, empty, foreign, huge, methane])
    verdicts = edm_protocol.judge(samples, np.array([True] * 5 + [False]))
    assert verdicts.stable.tolist() == [True] + [False] * 5
    assert verdicts.stable_atoms.tolist() == [5, 0, 0, 0, 0, 0]
    assert [text is not None for text in verdicts.smiles] == [True] + [False] * 5
    assert verdicts.geom_valid.tolist() == [True] + [False] * 5
    values = legacy_values(samples.with_columns(status=["ok"] * 5 + ["decode_failed"]), set())
    assert values["legacy_molecule_stability"] == values["legacy_validity"] == values["legacy_geom_validity"] == 1 / 6
    assert values["legacy_atom_stability"] == 5 / (5 + 5 + 2 + 5000 + 5)
    # One of six has a foreign element; the failed ones stay.
    assert values["ldm3dg_atom_stability"] == values["ldm3dg_molecule_stability"] == 1 / 5
    assert set(legacy_values(from_list([]), set()).values()) == {None}


def test_published_gschnet_samples(mirror):
    samples = read_parquet(mirror / "samples" / "gschnet_qm9_10000.parquet")
    stable = edm_protocol.stable_atoms(samples, edm_protocol.perceive(samples))
    assert round(100 * stable.mean(), 2) == 95.71
    assert round(100 * edm_protocol.stable_molecules(samples, stable).mean(), 2) == 68.05


def test_qm9_test_molecules(mirror):
    test = read_parquet(mirror / "qm9" / "qm9_geometries.parquet").split("test")
    stable = edm_protocol.stable_atoms(test, edm_protocol.perceive(test))
    assert round(100 * stable.mean(), 2) == 99.42
    assert round(100 * edm_protocol.stable_molecules(test, stable).mean(), 2) == 95.59
