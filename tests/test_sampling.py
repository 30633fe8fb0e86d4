"""Samples of requests: the same file whatever the shards, and only what is missing is drawn."""

import numpy as np
import pandas as pd
import pytest

from latent3d.base.files import read_json
from latent3d.base.run import Run
from latent3d.commands.requests import read_requests, write_requests
from latent3d.commands.sample import Sampling, sample
from latent3d.data.molecules.parquet import read_parquet, write_parquet
from latent3d.plan import Row, settings

COUNT = 250  # three chunks, the last of them not full


@pytest.fixture
def draw(tmp_path, dataset):
    """A function that answers requests with clouds; returns the file, and the chunks that are kept."""
    write_parquet(tmp_path / "dataset.parquet", dataset)
    h = settings(Row(base="controls", overrides={"sampling": {"kind": "cloud"}}), "sampling", "default")

    def draw(name, seeds=(3,), count=COUNT, shard=None):
        requests = write_requests(
            "unconditional", tmp_path / "dataset.parquet", {}, count, list(seeds), tmp_path / "requests.parquet"
        )
        run = Run(0, tmp_path / f"work_{name}")
        sampling = Sampling("controls", {}, h, tmp_path / "dataset.parquet", None, run)
        out = tmp_path / name / "samples.parquet"
        sample(sampling, requests, out, shard)
        return out, sorted(path.name for path in run.work.glob("*/*"))

    return draw


@pytest.mark.parametrize("shards", [2, 3, 7])
def test_any_number_of_shards_gives_the_same_bytes(draw, shards):
    whole, _ = draw("whole")
    for number in reversed(range(1, shards + 1)):
        path, left = draw("shards", shard=(number, shards))
        assert not path.exists()
    assert left == ["3-0-100.parquet", "3-100-200.parquet", "3-200-250.parquet"]
    joined, _ = draw("shards")
    assert joined.read_bytes() == whole.read_bytes()
    assert list(read_parquet(joined).table["sample_index"]) == list(range(COUNT))


def _mark(tmp_path, name, chunk):
    """Give the samples of a finished chunk a status that nothing else gives."""
    path = next(tmp_path.glob(f"work_{name}/*/{chunk}"))
    write_parquet(path, read_parquet(path).with_columns(status="marked"), {"seconds": 0.0})


def test_what_shards_left_is_used(draw, tmp_path):
    draw("shards", shard=(2, 3))
    _mark(tmp_path, "shards", "3-100-200.parquet")
    joined, _ = draw("shards")
    assert (read_parquet(joined).table["status"] == "marked").sum() == 100


def test_another_seed_draws_that_seed_alone(draw, tmp_path):
    draw("more", seeds=[3])
    for chunk in ("3-0-100.parquet", "3-100-200.parquet", "3-200-250.parquet"):
        _mark(tmp_path, "more", chunk)
    both, _ = draw("more", seeds=[3, 5])
    table = read_parquet(both).table
    assert table["status"].tolist() == ["marked"] * COUNT + ["ok"] * COUNT
    alone, _ = draw("alone", seeds=[5])
    np.testing.assert_array_equal(
        read_parquet(both).take(np.arange(COUNT, 2 * COUNT)).positions, read_parquet(alone).positions
    )


def test_more_samples_of_a_seed_keep_its_whole_chunks(draw, tmp_path):
    draw("longer", count=250)
    _mark(tmp_path, "longer", "3-100-200.parquet")
    out, kept = draw("longer", count=300)
    assert (read_parquet(out).table["status"] == "marked").tolist() == [False] * 100 + [True] * 100 + [False] * 100
    assert "3-200-300.parquet" in kept


def test_samples_stand_in_the_order_of_requests_and_cost_by_seed(draw):
    out, _ = draw("two", seeds=[5, 3], count=120)
    table = read_parquet(out).table
    assert table["seed"].tolist() == [5] * 120 + [3] * 120
    assert table["sample_index"].tolist() == [*range(120), *range(120)]
    run = read_json(out.with_name("run.json"))
    assert {seed: cost["samples"] for seed, cost in run["by_seed"].items()} == {"3": 120, "5": 120}
    assert run["seconds"] == pytest.approx(sum(cost["seconds"] for cost in run["by_seed"].values()), abs=0.01)


def test_requests_of_a_seed_do_not_depend_on_other_seeds(tmp_path, dataset):
    write_parquet(tmp_path / "dataset.parquet", dataset)
    one, two = (
        write_requests("unconditional", tmp_path / "dataset.parquet", {}, 4, seeds, tmp_path / "requests.parquet")
        for seeds in ([1], [0, 1])
    )
    pd.testing.assert_frame_equal(one, two[two["seed"] == 1].reset_index(drop=True))
    pd.testing.assert_frame_equal(two, read_requests(tmp_path / "requests.parquet"))


def test_interleaved_requests_get_their_own_samples(tmp_path, dataset):
    write_parquet(tmp_path / "dataset.parquet", dataset)
    h = settings(Row(base="controls", overrides={"sampling": {"kind": "cloud"}}), "sampling", "default")
    sampling = Sampling("controls", {}, h, tmp_path / "dataset.parquet", None, Run(0, tmp_path / "work"))
    plain = pd.DataFrame({"seed": [0] * 150 + [1] * 150, "sample_index": [*range(150), *range(150)]})
    mixed = plain.sample(frac=1, random_state=0)
    for name, requests in (("plain", plain), ("mixed", mixed)):
        sample(sampling, requests, tmp_path / name / "samples.parquet")
    whole, shuffled = (read_parquet(tmp_path / name / "samples.parquet") for name in ("plain", "mixed"))
    assert shuffled.table[["seed", "sample_index"]].values.tolist() == mixed.values.tolist()
    np.testing.assert_array_equal(shuffled.positions, whole.take(mixed.index.to_numpy()).positions)
