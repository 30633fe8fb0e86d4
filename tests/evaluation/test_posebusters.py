import contextlib
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import posebusters
import pytest
from posebusters.modules.energy_ratio import get_energies
from rdkit import Chem

from latent3d.base.workers import Outcome
from latent3d.data.molecules.molecules import EMPTY, Molecule
from latent3d.data.molecules.parquet import read_parquet
from latent3d.data.molecules.perception import perceive_bonds
from latent3d.data.molecules.rdkit import to_rdkit
from latent3d.evaluation.measures import Measures
from latent3d.evaluation.registry import POSEBUSTERS_TESTS, QUICK_TESTS
from latent3d.evaluation.validity import posebusters as busted
from latent3d.evaluation.validity import posebusters_tests as ours
from latent3d.evaluation.validity.posebusters_tests import energy_test, quick_tests

GEOMETRY_TESTS = set(QUICK_TESTS[5:])
ODD_SMILES = ["[CH3]", "[H][H]", "[He]", "C", "CC.O", "[NH4+]", "CC(=O)[O-]", "C[NH3+]", "C1CCCCC1", "CC(C)=C(C)C"]
DRUG_SMILES = ["CC(=O)Oc1ccccc1C(=O)O", "Cn1cnc2c1c(=O)n(C)c(=O)n2C"]


def noisy(molecule, sigma, seed=0):
    noise = sigma * np.random.default_rng(seed).normal(size=molecule.positions.shape)
    return replace(molecule, positions=(molecule.positions + noise).astype(np.float32))


def flattened(molecule):
    return replace(molecule, positions=molecule.positions * np.array([1, 1, 0], np.float32))


def clouds(n, seed=0):
    """Random clouds of five to nine atoms in which bonds are perceived."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < n:
        size = rng.integers(5, 10)
        positions = rng.normal(size=(size, 3)).astype(np.float32)
        cloud, status = perceive_bonds(Molecule(rng.choice([1, 6, 7, 8], size).astype(np.uint8), positions))
        if status == "ok":
            found.append(cloud)
    return found


def failed(molecule):
    return {test for test, passed in quick_tests(molecule).items() if passed is False}


def undefined(molecule):
    return {test for test, passed in quick_tests(molecule).items() if passed is None}


@pytest.fixture(scope="module")
def menagerie(dataset, from_smiles):
    sound = [*dataset, *map(from_smiles, ODD_SMILES)]
    distorted = [noisy(molecule, 0.1 + 0.1 * (i % 3), i) for i, molecule in enumerate(sound)]
    ethanol = from_smiles("CCO")
    broken = [
        EMPTY,
        replace(ethanol, positions=ethanol.positions * np.nan),
        replace(ethanol, positions=ethanol.positions * 0),
        replace(ethanol, bond_orders=np.full_like(ethanol.bond_orders, 3)),
        flattened(from_smiles("C1CCCCC1")),
        noisy(from_smiles("c1ccccc1"), 0.5),
    ]
    mini = read_parquet(Path(__file__).parents[2] / "resources/mini.parquet")
    return [*sound, *distorted, *broken, *clouds(8), *mini.take(range(200, 206)), *map(from_smiles, DRUG_SMILES)]


def test_the_tests_are_those_of_the_registry(from_smiles):
    assert tuple(quick_tests(from_smiles("CCO"))) == QUICK_TESTS
    report = posebusters.PoseBusters(config="mol").bust(to_rdkit(from_smiles("CCO")))
    assert tuple(report.columns) == tuple(POSEBUSTERS_TESTS)


def test_results_are_those_of_the_official_report(menagerie):
    official = posebusters.PoseBusters(config="mol")
    seen = {test: set() for test in POSEBUSTERS_TESTS}
    for molecule in menagerie:
        report = official.bust(to_rdkit(molecule)).iloc[0]
        expected = {test: None if pd.isna(value) else bool(value) for test, value in report.items()}
        assert quick_tests(molecule) | {"internal_energy": energy_test(molecule)} == expected
        for test, passed in expected.items():
            seen[test].add(passed)
    assert len(menagerie) >= 60
    assert seen.pop("mol_pred_loaded") == {True}
    assert [test for test, results in seen.items() if not {True, False} <= results] == []
    assert all(None in seen[test] for test in GEOMETRY_TESTS | {"internal_energy"})


def test_sound_molecules_pass(dataset):
    for molecule in dataset:
        assert set(quick_tests(molecule).values()) == {True}
    assert energy_test(dataset[5]) is True


def test_each_defect_fails_its_own_test(from_smiles):
    ethanol = from_smiles("CCO")
    fragments = from_smiles("CC.O")
    apart = fragments.positions + 20 * (fragments.atomic_numbers == 8)[:, None].astype(np.float32)
    stretched = ethanol.positions.copy()
    stretched[2:] += 3 * (stretched[2] - stretched[1])
    assert failed(from_smiles("[CH3]")) == {"no_radicals"}
    assert failed(replace(fragments, positions=apart)) == {"all_atoms_connected"}
    assert failed(flattened(from_smiles("C1CCCCC1"))) >= {"non-aromatic_ring_non-flatness"}
    assert failed(replace(ethanol, bond_orders=np.full_like(ethanol.bond_orders, 3))) >= {"sanitization"}
    assert "bond_lengths" in failed(replace(ethanol, positions=stretched))
    assert energy_test(noisy(ethanol, 0.5)) is False


def test_what_the_library_lets_pass(from_smiles):
    """Known traits: single atoms and hydrogens have no geometry to test."""
    methane = from_smiles("C")
    assert set(quick_tests(from_smiles("[He]")).values()) == {True}
    assert set(quick_tests(noisy(methane, 3.0)).values()) == {True}


def test_undefined_is_none_never_a_pass(from_smiles, monkeypatch):
    ethanol = from_smiles("CCO")
    unknown = replace(ethanol, positions=np.where(np.arange(9)[:, None] == 4, np.nan, ethanol.positions))
    assert undefined(unknown) == GEOMETRY_TESTS
    assert failed(unknown) == set()
    assert energy_test(unknown) is None
    assert energy_test(from_smiles("[He]")) is None  # no UFF parameters

    def broken(*_, **__):
        raise ValueError

    monkeypatch.setattr(posebusters.modules.distance_geometry, "GetMoleculeBoundsMatrix", broken)
    assert undefined(ethanol) == {"bond_lengths", "bond_angles", "internal_steric_clash"}
    assert failed(ethanol) == set()


def test_impossible_graphs_cannot_be_loaded(from_smiles):
    ethanol = from_smiles("CCO")
    order = replace(ethanol, bond_orders=np.full_like(ethanol.bond_orders, 4))
    itself = replace(ethanol, bonds=np.zeros_like(ethanol.bonds))
    for molecule in (order, itself):
        assert failed(molecule) == {"mol_pred_loaded"}
        assert undefined(molecule) == set(QUICK_TESTS) - {"mol_pred_loaded"}
        assert energy_test(molecule) is None


def test_a_molecule_of_200_atoms():
    """A zigzag of carbons, two hydrogens each, of which only the carbons' geometry counts."""
    x = np.arange(66) * 1.27
    carbons = np.stack([x, 0.43 * (-1.0) ** np.arange(66), 0 * x], axis=1)
    up = np.array([0, 0, 1.09])
    hydrogens = np.concatenate([carbons + up, carbons - up, carbons[[0, -1]] + [[-1.09], [1.09]]])
    chain = np.stack([np.arange(65), np.arange(1, 66)], axis=1)
    ends = np.concatenate([np.tile(np.arange(66), 2), [0, 65]])
    bonds = np.concatenate([chain, np.stack([ends, 66 + np.arange(134)], axis=1)])
    numbers = np.where(np.arange(200) < 66, 6, 1)
    molecule = Molecule(
        numbers.astype(np.uint8),
        np.concatenate([carbons, hydrogens]).astype(np.float32),
        bonds.astype(np.int16),
        np.ones(len(bonds), np.uint8),
        np.zeros(200, np.int8),
    )
    assert set(quick_tests(molecule).values()) == {True}


def test_the_molecule_is_left_as_it_was(from_smiles):
    molecule = from_smiles("CC(=O)O")
    fields = ("atomic_numbers", "positions", "bonds", "bond_orders", "formal_charges")
    before = [getattr(molecule, name).copy() for name in fields]
    quick_tests(molecule)
    energy_test(molecule)
    for name, value in zip(fields, before, strict=True):
        assert np.array_equal(getattr(molecule, name), value)


def test_nothing_is_printed_and_logging_is_left_as_it_was(from_smiles, capfd, caplog):
    helium, ethanol = from_smiles("[He]"), from_smiles("CCO")
    capfd.readouterr()
    caplog.clear()
    for molecule in (helium, EMPTY, replace(ethanol, bond_orders=np.full_like(ethanol.bond_orders, 3))):
        quick_tests(molecule)
        energy_test(molecule)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    logging.getLogger("another").warning("heard")
    assert [record.message for record in caplog.records] == ["heard"]


def test_a_stderr_that_was_closed_changes_no_result(from_smiles, tmp_path):
    for _ in range(2):
        with (tmp_path / "log").open("w") as stream, contextlib.redirect_stderr(stream):
            assert set(quick_tests(from_smiles("CCO")).values()) == {True}
            assert energy_test(from_smiles("CCO")) is True


def test_conformer_energies_are_seeded_and_independent_of_threads():
    inchi = Chem.MolToInchi(Chem.MolFromSmiles("C[C@H](O)CN"))
    energies = get_energies(inchi, 50, 1)
    get_energies.cache_clear()
    assert get_energies(inchi, 50, 1) == energies
    assert get_energies(inchi, 50, 2) == energies


def test_the_memory_of_energies_is_bounded(from_smiles, monkeypatch):
    monkeypatch.setattr(ours, "_REMEMBERED_GRAPHS", 2)
    for smiles in ("C", "CC", "CCO", "C=C", "C#N"):
        energy_test(from_smiles(smiles))
        assert get_energies.cache_info().currsize <= 2


def test_what_could_not_be_tested_keeps_its_reason(dataset, monkeypatch):
    """A quick test that timed out is no pass because the energy test ran, and a timeout is no NaN."""
    names = QUICK_TESTS
    passed = dict.fromkeys(names, True)
    quick = [
        Outcome("timeout"),
        Outcome("ok", passed),
        Outcome("ok", passed),
        Outcome("ok", {**passed, names[0]: None}),
    ]
    energy = [Outcome("ok", {busted.ENERGY_TEST: True}), Outcome("timeout"), Outcome("ok", {busted.ENERGY_TEST: None}),
              Outcome("ok", {busted.ENERGY_TEST: True})]  # fmt: skip
    rounds = iter([quick, energy])

    class Scripted:
        def map(self, tasks, label="", time_limit=None):
            return [Outcome(one.status, one.value and [one.value]) for one in next(rounds)]

    measured = Measures(4)
    monkeypatch.setattr(busted, "_GROUP", 1)
    verdicts = busted.bust(dataset.take(range(4)), np.ones(4, bool), None, None, 0, Scripted(), measured)
    order = np.random.default_rng([0, 2]).permutation(4)
    assert [verdicts[row] for row in order] == [
        "timeout", "internal_energy timeout", "internal_energy undefined", f"{names[0]} undefined",
    ]  # fmt: skip
    assert measured.values["posebusters_quick"] == 0.5
    assert measured.values["posebusters"] == 0
    assert measured.values["posebusters_energy_undefined"] == 0.25
