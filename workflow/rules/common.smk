"""The plan of the run, and how jobs are told of it. Policy is in latent3d.plan; here is what Snakemake alone knows."""

import os
import re
import shlex
import sys
from pathlib import Path

# The package of this checkout, in the workflow itself and in every job (also where a conda environment holds the rest).
SOURCE = Path(workflow.basedir, "src")
sys.path.insert(0, str(SOURCE))

from snakemake.settings.types import DeploymentMethod

from latent3d.base.errors import UserError
from latent3d.base.layout import ENERGIES, JUDGED, LEDGER, MEASURES, RUN, SAMPLES
from latent3d.plan.plan import as_json, read_plan
from latent3d.plan.targets import Targets, rows_as_json

# The same name wherever the checkout lies, also with --directory.
RESOURCES = os.path.relpath(Path(workflow.basedir, "resources"))
PUBLISHED = f"{RESOURCES}/published/published_results.csv"

IN_CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
PYTHON = "python" if IN_CONDA else sys.executable
# Braces are doubled because Snakemake formats the prefix. Both functions replace the part of a pipeline that they run in.
# A cluster signals all processes of a job: the command alone decides what SIGTERM means, shell and tee wait for its end.
shell.prefix(
    f"set -o pipefail; export PYTHONPATH={shlex.quote(str(SOURCE))}; python={shlex.quote(PYTHON)}; "
    'latent3d() {{ exec "$python" -m latent3d.cli "$@"; }}; '
    'trap : TERM USR1; tee() {{ trap "" TERM USR1; exec tee "$@"; }}; '
)

try:
    PLAN = read_plan(config, Path(workflow.basedir), RESOURCES)
except UserError as error:
    # One plain sentence; an exception would be wrapped in a traceback.
    print(f"latent3d: {error}", file=sys.stderr, flush=True)
    os._exit(1)
TARGETS = Targets(PLAN)
LAYOUT = PLAN.layout


def alternatives(names):
    """Regular expression that matches the names and nothing else."""
    return "|".join(re.escape(name) for name in sorted(names)) or "(?!)"


wildcard_constraints:
    benchmark=alternatives(PLAN.benchmarks),
    dataset=alternatives(PLAN.configuration.datasets),
    row=alternatives([*PLAN.names, *PLAN.trained_rows()]),
    stage=alternatives(PLAN.stages()),
    variant=alternatives({variant for one in PLAN.benchmarks.values() for variant in one.definition.variants}),
    train_seed="[0-9]+",
    shard="[0-9]+",


def trained(file):
    """Pattern of a file that a row trains."""
    return LAYOUT.trained("{dataset}", "{row}", "{train_seed}", file)


def of_samples(file, variant="{variant}"):
    """Pattern of a file of a row's samples."""
    return LAYOUT.of_samples("{benchmark}", "{row}", "{train_seed}", variant, file)


def dataset_of(wildcards):
    """The dataset of a job's benchmark."""
    return PLAN.benchmarks[wildcards.benchmark].dataset


def data_of(wildcards):
    """The molecules of a job's benchmark."""
    return LAYOUT.dataset(dataset_of(wildcards))


def task_of(wildcards):
    """The task of a job's benchmark."""
    return PLAN.benchmarks[wildcards.benchmark].task


def generating_weights(w):
    """Weights of what a row generates with."""
    return PLAN.weights(dataset_of(w), w.row, w.train_seed, PLAN.system(w.row).uses.generate)


def options(option, values):
    """An option given once per value."""
    return [f"{option} {shlex.quote(str(value))}" for value in values]


def named(files):
    """`stage=file` for every weights file, as the commands want them."""
    return [f"{Path(file).name.removesuffix('.safetensors')}={file}" for file in files]


def device(wildcards):
    """Device of a training or sampling job."""
    return PLAN.device(wildcards.row)


def gpus(wildcards):
    """GPUs of a training or sampling job. `auto` counts one where this machine has a driver; on a login node say cuda."""
    return int({"cpu": False, "cuda": True, "auto": Path(os.sep, "dev", "nvidiactl").exists()}[device(wildcards)])


def print_cost():
    """Before work starts: jobs and training steps to do. Commands print their time estimates themselves."""
    jobs = [(job.rule.name, dict(job.wildcards.items())) for job in workflow.dag.needrun_jobs()]
    for line in PLAN.cost(jobs):
        print(f"latent3d: {line}", file=sys.stderr, flush=True)
