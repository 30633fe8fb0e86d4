"""Snakemake on the real Snakefile, in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_snakemake(folder, *arguments):
    """Run snakemake in `folder`; returns the finished process."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), *map(str, arguments)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / ".cache"), "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def count_jobs(folder, *arguments):
    """Dry-run in `folder`; returns the number of jobs by rule."""
    done = run_snakemake(folder, *arguments, "-n", "--quiet", "rules")
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout + done.stderr
    if "Job stats:" not in text:
        return {}
    table = text.split("Job stats:")[1].split("\n\n")[0].splitlines()[3:]
    return {line.split()[0]: int(line.split()[1]) for line in table}


@pytest.fixture
def snakemake(tmp_path):
    """`run_snakemake` in an empty folder."""
    return lambda *arguments: run_snakemake(tmp_path, *arguments)


@pytest.fixture
def jobs(tmp_path):
    """`count_jobs` in an empty folder."""
    return lambda *arguments: count_jobs(tmp_path, *arguments)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """A run that is complete as far as Snakemake knows: empty files for results, and the records of their making.

    Returns a function (text added to its configuration) -> number of jobs by rule that would be made again; its
    attributes are `folder`, where the run is, and `snakemake`, which runs there.
    """
    folder = tmp_path_factory.mktemp("finished")
    mine = "all: [mine]\ndatasets: {mine: {source: file, file: mine.sdf, sample_seeds: [0], sample_count: 5}}\n"
    (folder / "mine.sdf").touch()
    (folder / "my.yaml").write_text(mine)
    summary = run_snakemake(folder, "--configfile", "my.yaml", "--summary")
    for line in summary.stdout.splitlines()[1:]:
        file = folder / line.split("\t")[0]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    done = run_snakemake(folder, "--configfile", "my.yaml", "--cores", "1", "--touch", "--forceall")
    assert done.returncode == 0, done.stderr

    def made_again(change):
        (folder / "my.yaml").write_text(mine + change)
        return count_jobs(folder, "--configfile", "my.yaml")

    made_again.folder = folder
    made_again.snakemake = lambda *arguments: run_snakemake(folder, "--configfile", "my.yaml", *arguments)
    return made_again
