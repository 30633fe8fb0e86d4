"""A task, its control row, measure, table and figure, and a judge cost a folder each: nothing else is touched.

A copy of the checkout gets two folders (tests/workflow/toy) and a configuration, and the workflow makes the table.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
TOY = Path(__file__).with_name("toy")
CONFIG = """all: [sized]
datasets: {mini: {preset: quick, train_size: 200, test_size: 40}}
benchmarks:
  sized: {task: sized, dataset: mini, settings: {largest: 6}, sample_count: 30, sample_seeds: [0, 1]}
metrics: {fcd: false}
energy: {relaxation: 0, strain: 0, dynamics: 0, gfn2_dynamics: 0}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a finished run in a copy of the checkout."""
    folder = tmp_path_factory.mktemp("copy")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if name.startswith(("src/", "workflow/", "config", "Snakefile", "profiles/default", "resources/mini", "envs/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    published = "resources/published/published_results.csv"
    (folder / published).parent.mkdir(parents=True)
    shutil.copyfile(ROOT / published, folder / published)
    for room in ("tasks", "judges"):
        shutil.copytree(TOY / room, folder / "src" / "latent3d" / room, dirs_exist_ok=True)
    (folder / "my.yaml").write_text(CONFIG)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "my.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "results"


def test_the_table_says_what_was_asked_and_got(made):
    table = pd.read_csv(made / "table_sized.csv").set_index("row")
    assert list(table.index) == ["asked", "any"]
    # Every fourth request was refused, and stays in the denominator.
    assert table.loc["asked", "size_hit"] == pytest.approx(23 / 30)
    assert 0 < table.loc["any", "size_hit"] < 0.75
    assert table["judge_error"].max() < 2


def test_every_row_answers_the_same_requests(made):
    requests = pd.read_parquet(made / "sized" / "requests.parquet")
    assert len(requests) == 60 and requests["heavy_atoms"].max() <= 6
    for row in ("asked", "any"):
        ledger = pd.read_csv(made / "sized" / row / "train0" / "raw" / "ledger.csv")
        np.testing.assert_array_equal(ledger["asked"], requests["heavy_atoms"])
        samples = pd.read_parquet(made / "sized" / row / "train0" / "raw" / "samples.parquet")
        assert samples[["seed", "sample_index"]].values.tolist() == requests[["seed", "sample_index"]].values.tolist()


def test_the_judge_was_trained_by_the_rule_of_systems(made):
    assert (made / "mini" / "counter" / "train0" / "regression.safetensors").is_file()
    judged = pd.read_parquet(made / "sized" / "asked" / "train0" / "raw" / "judged.parquet")
    assert list(judged.columns) == ["seed", "sample_index", "counter.heavy_atoms"]


def test_the_figure_and_the_report_show_the_task(made):
    assert "asked" in (made / "fig_sizes_sized.svg").read_text()
    report = (made / "report.html").read_text()
    assert "Share of samples of the size that was asked for" in report or "Sizes" in report
