"""From samples to ledger and metrics: denominators, reasons, nesting, controls, repeats."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from latent3d.commands.families import measure_families
from latent3d.data.molecules.molecules import EMPTY, Molecule, from_list
from latent3d.data.molecules.parquet import read_parquet
from latent3d.evaluation.analysis.reference import make_reference
from latent3d.evaluation.context import Options
from latent3d.evaluation.registry import FAMILIES, GEOMETRY, LEGACY, POSEBUSTERS
from latent3d.evaluation.score import measure_floor

MINI = Path(__file__).parents[2] / "resources" / "mini.parquet"
KCAL = 627.5094740631
FAMILIES_OF_MOLECULES = measure_families("unconditional")


@pytest.fixture(scope="module")
def samples(dataset, from_smiles):
    """Ten samples: six sound (one twice, four of them novel), four failures of different stages."""
    methane = from_smiles("C")
    undefined = Molecule(methane.atomic_numbers, np.full((5, 3), np.nan, np.float32))
    charged = from_smiles("[NH4+]")
    molecules = [*dataset.split("test"), methane, methane, undefined, EMPTY, charged, methane]
    status = ["ok"] * 6 + ["ok", "decode_failed", "ok", "ff_untyped"]
    return from_list(molecules, pd.DataFrame({"sample_index": range(100, 110), "seed": 3, "status": status}))


def test_failures_stay_in_every_denominator(samples, reference, quick_score):
    ledger, metrics = quick_score(samples, reference)
    assert metrics["n_requested"] == len(ledger) == 10
    values = metrics["values"]
    assert values["strict_validity"] == 0.6
    assert values["valid_unique"] == 0.5
    assert values["valid_unique_novel"] == 0.4
    assert values["known"] == 0.6  # those held out and methane, which is for training
    # The graphs of the undefined geometry (none), the empty and the failed sample do not count; ammonium's does.
    assert values["graph_validity"] == values["valid_connected"] == 0.7
    # Ammonium has a nitrogen of valence four: unstable and invalid for the legacy rule too.
    assert values["legacy_molecule_stability"] == 0.6
    assert values["legacy_validity"] == 0.6
    assert values["legacy_uniqueness"] == 5 / 6
    assert values["legacy_novelty"] == 4 / 5
    assert values["gfn2_success"] is None and values["gfn2_energy_per_atom_wasserstein"] is None
    assert metrics["failures"] == {"charged": 1, "decode_failed": 1, "ff_untyped": 1, "nan_coordinates": 1}
    assert ledger["sample_index"].tolist() == list(range(100, 110))
    assert ledger["strict"].tolist() == ["ok"] * 6 + ["nan_coordinates", "decode_failed", "charged", "ff_untyped"]
    assert ledger["smiles"].isna().tolist() == [False] * 6 + [True] * 4
    assert ledger["novel"].tolist() == [True] * 4 + [False] * 2 + [None] * 4
    assert ledger["legacy_stable"].tolist() == [True] * 6 + [False] * 4
    assert ledger["gfn2"].isna().all()
    low, high = metrics["intervals"]["strict_validity"]
    assert low < 0.6 < high


def test_every_quantity_of_the_registry_is_there_and_no_other(samples, reference, quick_score):
    expected = {quantity.name for family in FAMILIES.values() for quantity in family}
    expected -= {quantity.name for quantity in FAMILIES["Autoencoders"]}
    for compared in (reference, None):
        values = quick_score(samples, compared)[1]["values"]
        assert set(values) == expected


def test_without_a_reference_what_compares_is_missing(samples, reference, quick_score):
    alone, compared = (quick_score(samples, r)[1] for r in (None, reference))
    for name in ("legacy_novelty", "valid_unique_novel", "known", "atom_stability", "snn", "torsion_mmd"):
        assert alone["values"][name] is None and name not in alone["intervals"]
    for name in ("legacy_molecule_stability", "strict_validity", "valid_unique"):
        assert alone["values"][name] == compared["values"][name]


def test_corrected_stability_names_the_atom(reference, quick_score, from_smiles):
    methane = from_smiles("C")
    # C(+5)H4: released code looks an unknown charge up as 0 and calls it stable.
    charged = replace(methane, formal_charges=np.array([5, 0, 0, 0, 0], np.int8))
    ledger, metrics = quick_score(from_list([methane, charged, EMPTY]), reference)
    assert metrics["values"]["molecule_stability"] == 1 / 3
    assert metrics["values"]["atom_stability"] == 9 / 10
    assert ledger["stability"].tolist() == ["ok", "atom 0: C+5 with bond orders 4", "no_graph"]


def test_energies(samples, reference, quick_score):
    status = ["ok"] * 5 + ["scf_failed", "nan_coordinates", "decode_failed", "ok", "ok"]
    energies = pd.DataFrame(
        {"status": status, "energy_per_atom": [-2.0] * 5 + [np.nan] * 3 + [-2.0, -9.0], "heavy_atoms": 1}
    )
    real = pd.DataFrame({"status": ["ok", "timeout"], "energy_per_atom": [-2.01, np.nan], "heavy_atoms": 1})
    ledger, metrics = quick_score(samples, reference, energies=energies, reference_energies=real)
    # The untyped sample is a failure whatever energy its left-over geometry has.
    assert metrics["counts"]["gfn2_success"] == 6
    assert metrics["values"]["gfn2_success"] == 0.6
    assert metrics["values"]["gfn2_energy_per_atom_wasserstein"] == pytest.approx(0.01 * KCAL)
    assert metrics["failures"] == {
        "charged": 1, "decode_failed": 1, "ff_untyped": 1, "nan_coordinates": 1, "scf_failed": 1
    }  # fmt: skip
    assert ledger["gfn2"].tolist() == [*status[:9], "ff_untyped"]
    assert metrics["energy_failures"] == {
        "single_point": {"decode_failed": 1, "ff_untyped": 1, "nan_coordinates": 1, "scf_failed": 1}
    }


def test_training_molecules_are_not_novel_and_at_no_distance(dataset, reference, quick_score):
    values = quick_score(dataset.split("train"), reference)[1]["values"]
    assert values["legacy_novelty"] == values["valid_unique_novel"] == 0
    assert values["valid_unique"] == values["strict_validity"] == 1
    assert values["atom_stability"] == values["molecule_stability"] == 1
    assert values["ring_systems_unseen"] == values["functional_groups_unseen"] == 0
    for name in ("mw_wasserstein", "qed_total_variation", "sa_max_bin", "logp_hellinger_matched"):
        assert values[name] == pytest.approx(0, abs=1e-9)
    for name in ("snn", "fragment_similarity", "size_matched_coverage"):
        assert values[name] == pytest.approx(1)


def test_sets_are_nested_and_noise_makes_everything_worse(dataset, reference, quick_score):
    seen = []
    for noise in (0.0, 0.05, 0.2, 0.5):
        many = dataset.take(np.arange(100) % len(dataset))
        moved = many.with_positions(many.positions + np.random.default_rng(0).normal(0, noise, many.positions.shape))
        values = quick_score(
            from_list([replace(m, bonds=None, bond_orders=None, formal_charges=None) for m in moved]), reference
        )[1]["values"]
        nested = ["graph_validity", "valid_connected", "strict_validity", "valid_unique", "valid_unique_novel"]
        rates = [1.0, *(values[name] for name in nested), 0.0]
        assert rates == sorted(rates, reverse=True)
        seen.append(values)
    for name in ("legacy_atom_stability", "legacy_molecule_stability", "strict_validity"):
        rates = [values[name] for values in seen]
        assert rates == sorted(rates, reverse=True) and rates[-1] < 0.3


def test_random_clouds_are_valid_on_geom_alone(reference, quick_score):
    rng = np.random.default_rng(0)
    numbers = np.array([6, 6, 7, 8, *[1] * 8], np.uint8)
    clouds = from_list([Molecule(numbers, rng.normal(0, 1.5, (12, 3)).astype(np.float32)) for _ in range(60)])
    values = quick_score(clouds, reference)[1]["values"]
    assert values["strict_validity"] == values["molecule_stability"] == 0
    assert values["legacy_geom_validity"] > 0.5


def test_molecules_without_coordinates_give_graph_metrics_alone(dataset, reference, quick_score):
    flat = dataset.split("test").with_positions(np.full_like(dataset.split("test").positions, np.nan))
    ledger, metrics = quick_score(flat, reference, flat=True, options=Options(fcd=False))
    values = metrics["values"]
    solid = quick_score(dataset.split("test"), reference)[1]["values"]
    for name in ("strict_validity", "valid_unique_novel", "molecule_stability", "mw_wasserstein", "snn"):
        assert values[name] == solid[name] is not None
    for quantity in (*LEGACY, *GEOMETRY, *POSEBUSTERS):
        assert values[quantity.name] is None
    assert ledger["legacy_stable"].isna().all() and ledger["posebusters"].isna().all()


def test_the_order_of_samples_and_the_number_of_processes_do_not_matter_to_them(samples, reference, quick_score):
    options = Options(posebusters=0, fcd=False)
    ledger, _ = quick_score(samples, reference, options)
    order = np.random.default_rng(1).permutation(len(samples))
    shuffled, _ = quick_score(samples.take(order), reference, options)
    pd.testing.assert_frame_equal(ledger.iloc[order].reset_index(drop=True), shuffled)


def test_nothing_requested(reference, quick_score):
    ledger, metrics = quick_score(from_list([]), reference)
    assert len(ledger) == 0 and metrics["n_requested"] == 0
    assert set(metrics["failures"].values()) == set()
    rates = {name for name, value in metrics["values"].items() if value is not None}
    assert not rates & {"strict_validity", "legacy_validity", "molecule_stability", "legacy_atom_stability"}


def test_intervals_are_deterministic_and_follow_the_seed(dataset, reference, quick_score):
    many = dataset.take(np.arange(120) % len(dataset))
    one, two, other = (
        quick_score(many, reference, Options(posebusters=0, fcd=False, seed=seed))[1] for seed in (0, 0, 1)
    )
    assert one == two
    known = {name: value for name, value in one["values"].items() if value is not None}
    assert {name: other["values"][name] for name in known} == pytest.approx(known, rel=1e-9)
    assert one["intervals"]["mw_wasserstein"] != other["intervals"]["mw_wasserstein"]


def test_the_floor_is_what_test_molecules_score(dataset, reference, workers, quick_score):
    with_floor = measure_floor(
        *(reference, dataset.split("test"), FAMILIES_OF_MOLECULES, workers, Options(posebusters=0, fcd=False))
    )
    assert with_floor.floor == quick_score(dataset.split("test"), reference)[1]["values"]


def test_the_embedded_dataset_against_itself(workers, quick_score):
    """On real geometries: the test molecules are near, a wrong half of the sizes is far, FCD sees both."""
    mini = read_parquet(MINI)
    # Every eighth: the file is sorted by size.
    train, test = mini.split("train").take(np.arange(0, 3200, 8)), mini.split("test").take(np.arange(0, 404, 2))
    kept = np.isin(mini.table["id"], np.concatenate([train.table["id"], test.table["id"]]))
    reference = make_reference(mini.take(np.flatnonzero(kept)), MINI, workers, with_fcd=True)
    options = Options(posebusters=0)
    near = quick_score(test, reference, options)[1]["values"]
    heavy = np.bincount(test.molecule_of_atom, weights=test.atomic_numbers > 1)
    small = test.take(np.flatnonzero((heavy < 7) | (np.arange(len(test)) % 10 == 0)))
    far = quick_score(small, reference, options)[1]["values"]
    assert near["fcd_test"] < 0.01 < near["fcd"]  # they are the test molecules
    assert quick_score(train, reference, options)[1]["values"]["fcd_test"] > 0.1
    for name in ("fcd", "fcd_test", "mw_wasserstein", "mw_total_variation", "bond_angle_wasserstein"):
        assert near[name] < far[name]
    assert near["size_matched_coverage"] > 0.99
    # Matching takes the difference in size away.
    assert far["mw_wasserstein_matched"] < 0.5 * far["mw_wasserstein"]
