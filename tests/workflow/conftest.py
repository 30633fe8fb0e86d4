"""Snakemake on the real Snakefile, in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def snakemake(tmp_path):
    """Run snakemake in an empty folder; returns the finished process."""

    def run(*arguments):
        command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), *map(str, arguments)]
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / ".cache"), "COLUMNS": "200"}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    return run


@pytest.fixture
def jobs(snakemake):
    """Dry-run; returns the number of jobs by rule."""

    def count(*arguments):
        done = snakemake(*arguments, "-n", "--quiet", "rules")
        assert done.returncode == 0, done.stdout + done.stderr
        text = done.stdout + done.stderr
        if "Job stats:" not in text:
            return {}
        table = text.split("Job stats:")[1].split("\n\n")[0].splitlines()[3:]
        return {line.split()[0]: int(line.split()[1]) for line in table}

    return count
