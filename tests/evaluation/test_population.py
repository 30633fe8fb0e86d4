"""Chunks of molecules on worker processes: what crashes or hangs costs itself alone."""

import numpy as np
import pytest

from latent3d.base.workers import Workers, run_task
from latent3d.data.molecules.molecules import ELEMENTS
from latent3d.evaluation.analysis import population
from latent3d.evaluation.analysis.population import analyse_population, map_groups
from latent3d.evaluation.validity.valences import UNKNOWN
from tasks import echo_unless_cursed

ALL = frozenset(range(1, len(ELEMENTS)))


def test_a_crash_and_a_hang_cost_their_item_alone():
    items = [1, 2, -1, 4, 5, -2, 7]
    with Workers(run_task, 2, 60) as workers:
        outcomes = map_groups(echo_unless_cursed, items, 3, 1.0, workers, "")
    assert [outcome.status for outcome in outcomes] == ["ok", "ok", "crashed", "ok", "ok", "timeout", "ok"]
    assert [outcome.value for outcome in outcomes if outcome.status == "ok"] == [1, 2, 4, 5, 7]


def test_the_table_is_in_the_order_of_the_molecules_and_the_folds_are_disjoint(dataset, workers, monkeypatch):
    monkeypatch.setattr(population, "CHUNK", 3)
    many = dataset.take(np.random.default_rng(0).integers(0, len(dataset), 50))
    found = analyse_population(many, ["ok"] * 50, ALL, workers, "")
    assert found.table["smiles"].tolist() == many.table["smiles"].tolist()
    assert np.diff(found.atom_offsets).tolist() == many.atom_counts.tolist()
    assert np.bincount(found.fold).tolist() == [10] * 5 == [len(fold) for fold in found.folds]
    assert sorted(s for fold in found.folds for s in fold.smiles) == sorted(many.table["smiles"])
    for i in (0, 17, 49):
        own = found.valences[found.atom_offsets[i] : found.atom_offsets[i + 1]]
        alone = analyse_population(many.take([i]), ["ok"], ALL, workers, "")
        np.testing.assert_array_equal(own, alone.valences)


def test_a_chunk_that_does_not_end_is_taken_apart(dataset, workers, monkeypatch):
    """No molecule is known that hangs the analysis, so the limit of the chunk is set to nothing instead."""
    expected = analyse_population(dataset, ["ok"] * len(dataset), ALL, workers, "")
    monkeypatch.setattr(population, "_CHUNK_SECONDS", 1e-6)
    found = analyse_population(dataset, ["ok"] * len(dataset), ALL, workers, "")
    assert found.table["smiles"].tolist() == expected.table["smiles"].tolist()
    monkeypatch.setattr(population, "_MOLECULE_SECONDS", 1e-6)
    failed = analyse_population(dataset, ["ok"] * len(dataset), ALL, workers, "")
    assert set(failed.table["strict"]) == {"timeout"} and len(failed.table) == len(dataset)
    assert not failed.table["legacy_stable"].any()
    # Its atoms stay in the denominator.
    assert failed.table["atoms"].tolist() == dataset.atom_counts.tolist()
    assert (failed.valences == UNKNOWN).all() and len(failed.valences) == dataset.atom_counts.sum()


@pytest.mark.parametrize("status", ["decode_failed", "timeout"])
def test_a_failed_sample_is_not_judged(dataset, workers, status):
    found = analyse_population(dataset, [status] * len(dataset), ALL, workers, "")
    assert set(found.table["strict"]) == {status}
    assert not found.table[["graph_valid", "connected", "legacy_stable", "legacy_geom_valid"]].any(axis=None)
    assert all(len(fold) == 0 for fold in found.folds)
