"""Energies of a set: denominators, failures as infinite, distances against an independent implementation."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wasserstein_distance

from latent3d.evaluation.analysis.population import FOLDS
from latent3d.evaluation.energy.energies import measure_energies
from latent3d.evaluation.measures import Measures
from latent3d.evaluation.registry import ENERGY

KCAL = 627.5094740631


def measure(energies, reference=None, failed=None):
    out = Measures(4)
    out.missing(ENERGY)
    failed = pd.Series(failed or [None] * len(energies), dtype=object)
    gfn2, failures = measure_energies(energies, reference, failed, np.arange(len(energies)) % FOLDS, out)
    assert set(out.values) == {quantity.name for quantity in ENERGY}
    return out, gfn2.tolist(), failures


def relaxations(status, energy, survived):
    n = len(status)
    change = dict.fromkeys(("rmsd_heavy", "rmsd_all", "bond_change", "angle_change", "torsion_change"), np.nan)
    return pd.DataFrame(
        {
            "status": ["ok"] * n,
            "energy_per_atom": -2.0,
            "heavy_atoms": 3,
            "relax_status": status,
            "relaxation_energy": energy,
            "relaxation_energy_per_atom": np.array(energy, float) / 10,
            "graph_survived": pd.Series(survived, dtype=object),
            **change,
        }
    )


def test_distances_are_those_of_scipy_and_matching_takes_sizes_away():
    random = np.random.default_rng(0)
    sizes, real_sizes = random.integers(5, 10, 400), random.integers(7, 10, 300)
    # The energy depends on the size alone, so that matched sets differ by a shift.
    samples = pd.DataFrame({"status": "ok", "energy_per_atom": -1 - 0.01 * sizes + 0.001, "heavy_atoms": sizes})
    real = pd.DataFrame({"status": "ok", "energy_per_atom": -1 - 0.01 * real_sizes, "heavy_atoms": real_sizes})
    out, _, _ = measure(samples, real)
    expected = KCAL * wasserstein_distance(samples["energy_per_atom"], real["energy_per_atom"])
    assert out.values["gfn2_energy_per_atom_wasserstein"] == pytest.approx(expected)
    assert out.values["gfn2_energy_per_atom_wasserstein_matched"] == pytest.approx(0.001 * KCAL)
    assert out.values["gfn2_energy_per_atom_wasserstein"] > 3 * 0.001 * KCAL
    assert out.values["gfn2_size_matched_coverage"] == 1
    low, high = out.intervals["gfn2_energy_per_atom_wasserstein"]
    assert low < expected < high
    alike, _, _ = measure(real, real)
    for distance in ("wasserstein", "total_variation", "hellinger", "max_bin"):
        for ending in ("", "_matched"):
            assert alike.values[f"gfn2_energy_per_atom_{distance}{ending}"] == pytest.approx(0, abs=1e-9)
            assert out.values[f"gfn2_energy_per_atom_{distance}{ending}"] > 0


def test_failures_of_either_side_are_no_values_and_stay_in_the_rate():
    samples = pd.DataFrame({"status": ["ok", "timeout"], "energy_per_atom": [-1.0, np.nan], "heavy_atoms": 1})
    out, _, failures = measure(samples, samples)
    assert out.values["gfn2_energy_per_atom_wasserstein"] == 0
    assert out.values["gfn2_success"] == 0.5 and failures == {"single_point": {"timeout": 1}}
    nothing, _, _ = measure(samples[1:], samples)
    assert nothing.values["gfn2_energy_per_atom_wasserstein"] is None and nothing.values["gfn2_success"] == 0
    assert nothing.values["gfn2_size_matched_coverage"] == 0


def test_a_sample_that_failed_before_is_a_failure_of_every_calculation_asked_for():
    energies = relaxations(["ok"] * 4, [1.0, 2.0, 3.0, 4.0], [True] * 4)
    out, gfn2, failures = measure(energies, failed=[None, "ff_untyped", None, None])
    assert gfn2 == ["ok", "ff_untyped", "ok", "ok"]
    assert out.values["gfn2_success"] == 0.75 == out.values["relaxation_coverage"]
    assert failures == {"single_point": {"ff_untyped": 1}, "relaxation": {"ff_untyped": 1}}
    assert out.values["strain_median"] is None and "strain_asked" not in out.counts


def test_medians_count_failures_as_infinite_and_means_do_not():
    status = ["ok"] * 7 + ["opt_unconverged", "scf_failed", "ok", None]
    energy = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, np.nan, np.nan, 0.1, np.nan]
    out, _, failures = measure(relaxations(status, energy, [True] * 7 + [None, None, False, None]))
    # Ten were asked for. The last of them lost a bond: a number, but not of the molecule that was asked about.
    assert out.counts["relaxation_asked"] == 10
    assert out.values["relaxation_coverage"] == 0.7 and out.values["relaxation_converged"] == 0.8
    assert out.values["relaxation_energy_median"] == 5.5
    assert out.values["relaxation_energy_per_atom_median"] == pytest.approx(0.55)
    assert out.values["relaxation_energy_mean"] == 4
    assert failures["relaxation"] == {"opt_unconverged": 1, "scf_failed": 1, "topology_changed": 1}
    # Ranks 2 and 9 of ten: the upper one is a failure.
    assert out.intervals["relaxation_energy_median"] == [2.0, None]
    half, _, _ = measure(relaxations(["ok"] * 2 + ["timeout"] * 2, [1.0, 2.0, np.nan, np.nan], [True] * 4))
    assert half.values["relaxation_energy_median"] is None and half.values["relaxation_coverage"] == 0.5
    assert half.values["relaxation_energy_mean"] == 1.5


def test_a_graph_that_could_not_be_judged_has_not_survived():
    out, _, failures = measure(relaxations(["ok"] * 3, [1.0, 2.0, 3.0], [True, None, True]))
    assert out.values["relaxation_coverage"] == 2 / 3
    assert failures["relaxation"] == {"topology_changed": 1}


def test_a_molecule_without_torsions_is_no_failure():
    energies = relaxations(["ok"] * 3, [1.0, 2.0, 3.0], [True] * 3).assign(torsion_change=[np.nan, 4.0, 6.0])
    assert measure(energies)[0].values["relaxation_torsion_change_median"] == 5


def test_survival_in_dynamics_counts_failures_and_broken_bonds_alike():
    energies = pd.DataFrame(
        {
            "status": "ok",
            "energy_per_atom": -1.0,
            "heavy_atoms": 1,
            "strain_status": ["ok", "ok", "ok", "ff_untyped", None],
            "strain": [1.0, 3.0, 2.0, np.nan, np.nan],
            "md_mmff_status": ["ok", "ok", "ff_untyped", "ok", None],
            "md_mmff_survived": pd.Series([True, False, None, True, None], dtype=object),
            "md_mmff_failure": [None, "bond_broken", None, None, None],
        }
    )
    out, _, failures = measure(energies)
    assert out.values["md_mmff_survival"] == 0.5 and out.counts["md_mmff_asked"] == 4
    assert failures["md_mmff"] == {"bond_broken": 1, "ff_untyped": 1}
    assert out.values["strain_coverage"] == 0.75 and out.values["strain_median"] == 2.5
    assert out.values["md_gfn2_survival"] is None
