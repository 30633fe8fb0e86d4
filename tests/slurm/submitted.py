"""The workflow of this checkout in a small configuration, submitted through the shipped profile."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "tests" / "slurm" / "config.yaml"
TABLES = [f"results/table_{name}mini.csv" for name in ("", "energy_", "cost_")]
# Bytes depend on the number of threads: one here and there.
THREADS = ["--set-threads", "train=1"]


def snakemake_command(*options):
    """Makes the tables of the small configuration."""
    return [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", *TABLES, "--configfile", CONFIG, *options]


def environment(folder, base):
    """Variables of a Snakemake that shares nothing with others on this machine."""
    return {**base, "XDG_CACHE_HOME": str(folder / ".cache")}


@dataclass(frozen=True)
class Job:
    """One submission as the controller remembers it: state, partition, memory, cores, generic resources, rule."""

    number: int
    state: str
    partition: str
    memory: str
    cores: str
    generic: str
    rule: str


class SubmittedRun:
    """The workflow, submitted from `folder` in the background."""

    def __init__(self, cluster, folder, *options):
        self.cluster, self.folder = cluster, folder
        runs = len(list(folder.glob("snakemake*.output")))
        self._output = (folder / f"snakemake{runs + 1}.output").open("w")
        profile = ["--workflow-profile", ROOT / "profiles" / "slurm"]
        often = ["--slurm-init-seconds-before-status-checks", "3", "--seconds-between-status-checks", "3"]
        self.process = subprocess.Popen(
            list(map(str, snakemake_command(*profile, *often, *options))),
            cwd=folder,
            env=environment(folder, cluster.environment),
            stdout=self._output,
            stderr=self._output,
        )

    def output(self):
        """What Snakemake said so far."""
        return Path(self._output.name).read_text()

    def jobs(self, *words):
        """Submissions, in their order, whose description (rule and wildcards) holds all the words."""
        columns = "--Format=JobID:|,State:|,Partition:|,MinMemory:|,NumCPUs:|,tres-per-job:|,Comment:"
        lines = self.cluster.slurm("squeue", "--states=all", "--noheader", columns).splitlines()
        jobs = [Job(int(number), *rest) for number, *rest in (line.split("|") for line in lines)]
        mine = {int(number) for number in re.findall(r"SLURM jobid (\d+)", self.output())}
        return sorted(
            (job for job in jobs if job.number in mine and all(word in job.rule for word in words)),
            key=lambda job: job.number,
        )

    def log(self, stage):
        """Log of the training of a stage, of its last attempt; empty while there is none."""
        path = self.folder / "logs" / "mini" / "latent3d" / "train0" / f"{stage}.log"
        return path.read_text() if path.is_file() else ""

    def submission_log(self, job):
        """What a failed submission wrote."""
        [path] = self.folder.glob(f".snakemake/slurm_logs/**/{job.number}.log")
        return path.read_text()

    def training_process(self, stage):
        """The Python process that trains a stage, or None."""
        for process in psutil.process_iter(["cmdline"]):
            command = process.info["cmdline"] or []
            if "train" in command and stage in command and "latent3d.cli" in command and self._is_mine(process):
                return process
        return None

    def _is_mine(self, process):
        try:
            return Path(process.cwd()) == self.folder
        except psutil.Error:
            return False

    def end(self, seconds):
        """Wait for the end; returns the exit code."""
        return self.process.wait(timeout=seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()  # asked to end, it would wait for its jobs
        self.process.wait()
