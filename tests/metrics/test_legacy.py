import math
import time

import numpy as np
import pytest

from latent3d.metrics import legacy
from latent3d.molecules.molecules import Molecule, from_list
from latent3d.molecules.parquet import read_parquet

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
    stable = legacy.stable_atoms(molecules, legacy.perceive(molecules))
    expected = [plain_stable_atoms(molecule) for molecule in molecules]
    assert stable.tolist() == [atom for molecule in expected for atom in molecule]
    assert legacy.stable_molecules(molecules, stable).tolist() == [all(molecule) for molecule in expected]


def test_thresholds_are_strict():
    # C-C single below 164 pm, double below 139, triple below 123; float32-exact distances either side.
    pairs = [Molecule(np.array([6, 6], np.uint8), np.array([[0, 0, 0], [d, 0, 0]], np.float32))
             for d in (1.63, 1.65, 1.38, 1.40, 1.22, 1.24)]  # fmt: skip
    assert legacy.perceive(from_list(pairs)).orders.tolist() == [1, 2, 1, 3, 2]
    # 1.75 angstrom is exact in binary: S-Cl 207 + 10 aside, N-Cl bonds below 185, O-Cl below 174.
    for number, distance, bonded in ((7, 1.75, 1), (8, 1.75, 0)):
        pair = Molecule(np.array([17, number], np.uint8), np.array([[0, 0, 0], [0, distance, 0]], np.float32))
        assert len(legacy.perceive(from_list([pair])).orders) == bonded


def test_methyl_is_valid_here_but_not_stable(from_smiles):
    methane = from_smiles("C")
    methyl = Molecule(methane.atomic_numbers[:4], methane.positions[:4])
    scores = legacy.legacy_scores(from_list([methane, methyl]), set())
    assert scores.stable.tolist() == [True, False]
    assert scores.validity == 1.0
    assert scores.atom_stability == 8 / 9


def test_training_molecules_are_not_novel(dataset):
    train = set(legacy.smiles(dataset, legacy.perceive(dataset))) - {None}
    scores = legacy.legacy_scores(dataset, train)
    assert scores.novelty == 0
    assert scores.uniqueness == 1
    twice = legacy.legacy_scores(dataset.take(list(range(len(dataset))) * 2), train)
    assert twice.uniqueness == 0.5
    assert legacy.legacy_scores(dataset, set()).novelty == 1


def test_largest_fragment_is_compared(from_smiles):
    ethanol, methane = from_smiles("CCO"), from_smiles("C")
    both = Molecule(
        np.concatenate([methane.atomic_numbers, ethanol.atomic_numbers]),
        np.concatenate([methane.positions + 50, ethanol.positions]),
    )
    molecules = from_list([ethanol, both])
    assert len(set(legacy.smiles(molecules, legacy.perceive(molecules)))) == 1


def test_failures_and_odd_input_count_against_the_sample(from_smiles):
    methane = from_smiles("C")
    broken = Molecule(methane.atomic_numbers, np.full((5, 3), np.nan, np.float32))
    empty = Molecule(np.zeros(0, np.uint8), np.zeros((0, 3), np.float32))
    foreign = Molecule(np.array([0, 250], np.uint8), np.zeros((2, 3), np.float32))
    huge = Molecule(np.ones(5000, np.uint8), np.zeros((5000, 3), np.float32))
    samples = from_list([methane, broken, empty, foreign, huge, methane])
    scores = legacy.legacy_scores(samples, set(), np.array([True] * 5 + [False]))
    assert scores.stable.tolist() == [True] + [False] * 5
    assert scores.molecule_stability == 1 / 6
    assert scores.atom_stability == 5 / (5 + 5 + 2 + 5000 + 5)
    assert scores.stable_atoms.tolist() == [5, 0, 0, 0, 0, 0]
    nothing = legacy.legacy_scores(from_list([]), set())
    assert nothing.molecule_stability is None and nothing.novelty is None


def test_published_gschnet_samples(mirror):
    samples = read_parquet(mirror / "samples" / "gschnet_qm9_10000.parquet")
    began = time.process_time()
    stable = legacy.stable_atoms(samples, legacy.perceive(samples))
    assert time.process_time() - began < 2
    assert round(100 * stable.mean(), 2) == 95.71
    assert round(100 * legacy.stable_molecules(samples, stable).mean(), 2) == 68.05


def test_qm9_test_molecules(mirror):
    test = read_parquet(mirror / "qm9" / "qm9_geometries.parquet").split("test")
    stable = legacy.stable_atoms(test, legacy.perceive(test))
    assert round(100 * stable.mean(), 2) == 99.42
    assert round(100 * legacy.stable_molecules(test, stable).mean(), 2) == 95.59
