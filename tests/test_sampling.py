"""Samples in shards: the same file, made of the chunks that the shards left."""

import pytest

from latent3d.base.run import Run
from latent3d.commands.sample import sample_seed
from latent3d.data.molecules.parquet import read_parquet, write_parquet
from latent3d.plan import Row, hyperparameters

COUNT = 250  # three chunks, the last of them not full


@pytest.fixture
def sample(tmp_path, dataset):
    write_parquet(tmp_path / "dataset.parquet", dataset)
    h = hyperparameters(Row(base="controls", overrides={"sampling": {"kind": "cloud"}}), "sampling", "default")

    def sample(name, shard=None):
        out, run = tmp_path / name, Run(3, tmp_path / f"work_{name}")
        sample_seed("controls", {}, tmp_path / "dataset.parquet", dataset, h, run, COUNT, None, out, shard)
        return out / "samples.parquet", sorted(path.name for path in run.work.glob("*/*"))

    return sample


@pytest.mark.parametrize("shards", [2, 3, 7])
def test_any_number_of_shards_gives_the_same_bytes(sample, shards):
    whole, _ = sample("whole")
    left = []
    for number in reversed(range(1, shards + 1)):
        path, left = sample("shards", (number, shards))
        assert not path.exists()
    assert left == ["0-100.parquet", "100-200.parquet", "200-250.parquet"]
    joined, left = sample("shards")
    assert joined.read_bytes() == whole.read_bytes()
    assert left == []
    assert list(read_parquet(joined).table["sample_index"]) == list(range(COUNT))


def test_what_shards_left_is_used(sample, tmp_path):
    sample("shards", (2, 3))
    chunk = next(tmp_path.glob("work_shards/*/100-200.parquet"))
    other = read_parquet(chunk)
    write_parquet(chunk, other.with_columns(status="marked"), {"seconds": 0.0})
    joined, _ = sample("shards")
    assert (read_parquet(joined).table["status"] == "marked").sum() == 100
