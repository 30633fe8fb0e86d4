"""Rows of a benchmark: a file with several seeds and strata is measured as one file of each would be."""

import math

import numpy as np
import pandas as pd
import pytest

from latent3d.base.errors import UserError
from latent3d.calculations import energies_file
from latent3d.commands.score import score_files
from latent3d.data.molecules.parquet import read_metadata, write_parquet
from latent3d.data.records import concatenate
from latent3d.evaluation.analysis.reference_file import write_reference
from latent3d.evaluation.context import Options
from latent3d.evaluation.measures import Measures
from latent3d.evaluation.measures_file import lines_of, read_measures, write_measures

IDENTITY = {"benchmark": "toy", "row": "ours", "train_seed": 1, "variant": "raw"}
OPTIONS = Options(posebusters=4, energy_ratio=0, fcd=False)


@pytest.fixture
def measured(tmp_path, reference):
    """Score the samples of one file into measures.parquet and ledger.csv, which are returned."""
    write_reference(tmp_path / "reference.safetensors", reference)

    def run(samples, energies=None, requests=None, identity=IDENTITY):
        folder = tmp_path / "row"
        write_parquet(folder / "samples.parquet", samples)
        if energies is not None:
            energies_file.write_energies(folder / "energies.parquet", energies, {})
        if requests is not None:
            requests.to_parquet(tmp_path / "requests.parquet")
            requests = tmp_path / "requests.parquet"
        name = str(tmp_path / "reference.safetensors")
        found = score_files(
            [folder / "samples.parquet"], [folder], name, None, OPTIONS, 2, requests=requests, identity=identity
        )
        if identity is None:
            return found[0], pd.read_csv(folder / "ledger.csv")
        return read_measures(folder / "measures.parquet"), pd.read_csv(folder / "ledger.csv")

    return run


def of_seed(molecules, seed, status):
    return molecules.with_columns(sample_index=range(len(molecules)), seed=seed, status=status)


def energies_of(samples):
    """Of each sample by its index, so that a sample has the same in every file."""
    table = samples.table[["sample_index", "seed"]].reset_index(drop=True)
    index, n = table["sample_index"].to_numpy(), len(table)
    table["status"], table["energy_per_atom"], table["heavy_atoms"] = "ok", -2.0 - 0.01 * index, 1 + index % 3
    table["relax_status"], table["graph_survived"] = np.where(index % 4 == 1, "timeout", "ok"), [True] * n
    changes = ["rmsd_heavy", "rmsd_all", "bond_change", "angle_change", "torsion_change"]
    for name in ("relaxation_energy", "relaxation_energy_per_atom", *changes):
        table[name] = 0.1 * index
    return table.to_dict("list")


def test_a_file_of_two_seeds_is_measured_as_a_file_of_each(measured, dataset):
    """Values, intervals, counts, failures and ledgers, with draws that depend on the place in a set."""
    first = of_seed(dataset, 0, ["ok"] * 13 + ["decode_failed"])
    second = of_seed(dataset.take(np.arange(9, 14)), 7, ["ok"] * 4 + ["radical"])
    both, both_ledger = measured(concatenate([first, second]), energies_of(concatenate([first, second])))
    assert set(both["seed"]) == {0, 7} and both["stratum"].isna().all()
    ledgers = []
    for samples in (first, second):
        summary, ledger = measured(samples, energies_of(samples), identity=None)
        ledgers.append(ledger)
        mine = both[both["seed"] == samples.table["seed"].iloc[0]].set_index("quantity")
        assert mine.index.is_unique
        for name, value in summary["values"].items():
            assert mine.loc[name, "value"] == value or (value is None and math.isnan(mine.loc[name, "value"]))
            low, high = summary["intervals"].get(name, (np.nan, np.nan))
            limits = [math.inf if limit is None else limit for limit in (low, high)]
            np.testing.assert_array_equal(mine.loc[name, ["low", "high"]].astype(float), limits)
        for name, count in summary["counts"].items():
            assert mine.loc[name, "count"] == count
        failed = mine[mine.index.str.startswith("failed:")]["count"].to_dict()
        assert failed == {
            **{f"failed:{reason}": count for reason, count in summary["failures"].items()},
            **{
                f"failed:{calculation}:{reason}": count
                for calculation, reasons in summary["energy_failures"].items()
                for reason, count in reasons.items()
            },
        }
        assert mine.loc["failed:relaxation:timeout", "of"] == summary["counts"]["relaxation_asked"] == len(samples)
    pd.testing.assert_frame_equal(both_ledger, pd.concat(ledgers, ignore_index=True))
    assert (both[list(IDENTITY)] == pd.Series(IDENTITY)).all().all()


def test_every_stratum_is_a_set_and_the_ledger_keeps_the_order(measured, dataset):
    samples = of_seed(dataset, 3, ["ok", "decode_failed"] * 7)
    requests = samples.table[["seed", "sample_index"]].assign(stratum=["easy", "hard"] * 7)
    found, ledger = measured(samples, requests=requests)
    values = found[found["quantity"] == "strict_validity"].set_index("stratum")
    assert values["value"].to_dict() == {"easy": 1.0, "hard": 0.0} and set(values["of"]) == {7}
    assert ledger["sample_index"].tolist() == list(range(14))
    assert ledger["sample"].tolist() == ["ok", "decode_failed"] * 7


def test_sets_keep_the_order_of_the_file(measured, dataset):
    few = dataset.take(np.arange(3))
    found, _ = measured(concatenate([of_seed(few, seed, "ok") for seed in (9, 2, 5)]))
    assert found["seed"].unique().tolist() == [9, 2, 5]


def test_samples_must_answer_the_requests(measured, dataset):
    samples = of_seed(dataset, 3, "ok")
    asked = samples.table[["seed", "sample_index"]]
    for requests in (asked.iloc[:-1], asked.assign(seed=4), asked.assign(sample_index=asked["sample_index"] + 1)):
        with pytest.raises(UserError, match="does not answer the requests"):
            measured(samples, requests=requests)


def test_energies_of_other_seeds_are_refused(measured, dataset):
    samples = of_seed(dataset, 0, "ok")
    with pytest.raises(UserError, match="not of the samples"):
        measured(samples, energies_of(of_seed(dataset, 1, "ok")))


def test_the_file_keeps_missing_infinite_and_provenance_and_repeats(tmp_path):
    out = Measures(20)
    out.rate("strict_validity", 5, 20)
    out.median("relaxation_energy_median", np.array([1.0] * 11 + [np.inf] * 9))
    out.missing(["fcd"])
    out.stage(["ok"] * 17 + ["radical"] * 3)
    for name in ("a", "b"):
        write_measures(tmp_path / name, lines_of(out, IDENTITY), {"provenance": {"samples_sha256": "ab"}})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    found = read_measures(tmp_path / "a").set_index("quantity")
    assert found.loc["strict_validity", ["value", "count", "of"]].tolist() == [0.25, 5, 20]
    assert found.loc["relaxation_energy_median", ["low", "high"]].tolist() == [1.0, np.inf]
    assert found.loc["fcd", ["value", "low", "high", "count"]].isna().all()
    assert found.loc["failed:radical", ["value", "count", "of"]].tolist() == [0.15, 3, 20]
    assert read_metadata(tmp_path / "a") == {"provenance": {"samples_sha256": "ab"}}
    with pytest.raises(UserError, match=r"nothing.parquet does not exist"):
        read_measures(tmp_path / "nothing.parquet")
