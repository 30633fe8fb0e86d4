"""A cluster that is started once, and what its results are compared with."""

import importlib.util
import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from cluster import Cluster, missing
from submitted import THREADS, environment, snakemake_command


@pytest.fixture(scope="session")
def cluster():
    """A running cluster; skipped where it cannot be."""
    reason = missing()
    if reason is None and importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        reason = "the package snakemake-executor-plugin-slurm is not installed (profiles/slurm/requirements.txt)"
    if reason is not None:
        pytest.skip(reason)
    # Not pytest's folder: only root may enter it, and munge wants its socket to be reachable.
    with tempfile.TemporaryDirectory(prefix="latent3d-slurm-") as folder:
        Path(folder).chmod(0o755)
        with Cluster(Path(folder)) as running:
            yield running


@pytest.fixture(scope="session")
def local_run(cluster, tmp_path_factory):
    """The same configuration without a cluster, in the background: a function that waits and returns the folder."""
    folder = tmp_path_factory.mktemp("local")
    command = snakemake_command("--workflow-profile", "none", "--cores", "2", *THREADS)
    with (folder / "snakemake.output").open("w") as output:
        variables = environment(folder, os.environ)
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=output, stderr=output)

    def finished():
        assert process.wait(timeout=600) == 0, (folder / "snakemake.output").read_text()
        return folder

    yield finished
    process.terminate()
    process.wait()
