"""Configuration, paths and the functions of all rules. Reads config and the systems' defaults.yaml, never torch."""

import json
import os
import re
import shlex
import sys
from functools import cache
from pathlib import Path

# The package of this checkout, in the workflow itself and in every job (also where a conda environment holds the rest).
SOURCE = Path(workflow.basedir, "src")
sys.path.insert(0, str(SOURCE))

import yaml
from snakemake.settings.types import DeploymentMethod

from latent3d.plan import (
    SystemDefaults,
    for_dataset,
    hyperparameters,
    owners,
    parse_configuration,
    system_defaults,
    variants,
)
from latent3d.base.errors import UserError
from latent3d.reporting.catalogue import FIGURES, TABLES

# The same name wherever the checkout lies, also with --directory.
RESOURCES = os.path.relpath(Path(workflow.basedir, "resources"))

IN_CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
PYTHON = "python" if IN_CONDA else sys.executable
# Braces are doubled because Snakemake formats the prefix. Both functions replace the part of a pipeline that they run in.
# A cluster signals all processes of a job: the command alone decides what SIGTERM means, shell and tee wait for its end.
shell.prefix(
    f"set -o pipefail; export PYTHONPATH={shlex.quote(str(SOURCE))}; python={shlex.quote(PYTHON)}; "
    'latent3d() {{ exec "$python" -m latent3d.cli "$@"; }}; '
    'trap : TERM USR1; tee() {{ trap "" TERM USR1; exec tee "$@"; }}; '
)


def stop(error):
    """End with one plain sentence; an exception would be wrapped in a traceback."""
    print(f"latent3d: {error}", file=sys.stderr, flush=True)
    os._exit(1)


def in_shipped_order(rows):
    """The rows in the order of config.yaml, then new ones: Snakemake puts what --configfile mentions first."""
    shipped = yaml.safe_load(Path(workflow.basedir, "config.yaml").read_text())["rows"]
    return {**{name: rows[name] for name in shipped if name in rows}, **rows} if isinstance(rows, dict) else rows


def check_file(key, file):
    """Raise UserError unless the file that a key names is there."""
    if not Path(file).is_file():
        raise UserError(f"config key {key}: {file} does not exist. Check the path.")


def read_configuration():
    """The checked configuration; every row's hyper-parameters are resolved once, so that mistakes show before any work."""
    try:
        configuration = parse_configuration({**config, "rows": in_shipped_order(config.get("rows"))})
        for name, submission in configuration.submissions.items():
            for file in submission.file:
                check_file(f"submissions.{name}.file", file)
        for name, dataset in configuration.datasets.items():
            if dataset.file is not None:
                check_file(f"datasets.{name}.file", dataset.file)
            rows = [configuration.rows[row] for row in for_dataset(configuration, name, "rows")]
            rows += [
                variant.row
                for sweep, settings in configuration.sweeps.items()
                if name in settings.datasets
                for variant in variants(configuration, sweep).values()
            ]
            for row in rows:
                for stage in system_defaults(row.base).hyperparameters:
                    hyperparameters(row, stage, dataset.preset)
        return configuration
    except UserError as error:
        stop(error)


CONFIGURATION = read_configuration()
SUBMISSIONS = CONFIGURATION.submissions
SWEEPS = {name: variants(CONFIGURATION, name) for name in CONFIGURATION.sweeps}
# What stands in figures of sweeps alone: raw samples, no energies.
SWEPT = {name: variant.row for sweep in SWEEPS.values() for name, variant in sweep.items()}
ROWS = {**CONFIGURATION.rows, **SWEPT}
SYSTEMS = {
    **{name: system_defaults(row.base) for name, row in CONFIGURATION.rows.items()},
    **{name: SystemDefaults(tasks=[], stages={}, uses={"generate": []}, hyperparameters={}) for name in SUBMISSIONS},
    **{name: system_defaults(row.base) for name, row in SWEPT.items()},
}
# Who trains the stages that rows share, by preset.
OWNERS = {preset: owners(ROWS, preset) for preset in {dataset.preset for dataset in CONFIGURATION.datasets.values()}}
GEOMETRIES_OF = {name: tuple(row.geometries) for name, row in {**ROWS, **SUBMISSIONS}.items()}


def alternatives(names):
    """Regular expression that matches the names and nothing else."""
    return "|".join(re.escape(name) for name in sorted(names)) or "(?!)"


wildcard_constraints:
    dataset=alternatives(CONFIGURATION.datasets),
    row=alternatives(SYSTEMS),
    stage=alternatives({stage for system in SYSTEMS.values() for stage in system.stages}),
    train_seed="[0-9]+",


def as_json(value):
    """Canonical JSON: equal values are equal parameters, so nothing is made again without a reason."""
    return json.dumps(value, sort_keys=True)


def rows_of(dataset):
    """The rows of a dataset's tables: systems, then submissions."""
    submitted = [name for name, submission in SUBMISSIONS.items() if dataset in submission.datasets]
    return [row for row in for_dataset(CONFIGURATION, dataset, "rows") if can_be_made(dataset, row)] + submitted


def released_file(dataset, row, stage, ending=".safetensors"):
    """A file of the released weights of a row's stage."""
    return f"{RESOURCES}/checkpoints/{dataset}/{row}/{stage}{ending}"


@cache
def can_be_made(dataset, row):
    """False where weights are not to be trained, and those of the row's configuration were not released."""
    if CONFIGURATION.weights == "train":
        return True
    preset = CONFIGURATION.datasets[dataset].preset
    for stage, owner in owners_of(dataset, row).items():
        run = Path(released_file(dataset, owner, stage, ".run.json"))
        if not run.is_file():
            return False
        if json.loads(run.read_text())["hyperparameters"] != hyperparameters(ROWS[row], stage, preset):
            return False
    return source_of(row) is None or can_be_made(dataset, source_of(row))


def sweeps_of(dataset):
    """Names of the sweeps whose figures are made of a dataset."""
    return [
        name
        for name, sweep in CONFIGURATION.sweeps.items()
        if dataset in sweep.datasets and all(can_be_made(dataset, row) for row in [*sweep.rows, *SWEEPS[name]])
    ]


def train_seeds(dataset, row):
    """Training seeds of a row; a row that depends on no training, or on weights that were released, is made once."""
    if row in SUBMISSIONS or CONFIGURATION.weights == "released":
        return [0]
    seeds = for_dataset(CONFIGURATION, dataset, "train_seeds")
    trained = SYSTEMS[row].stages or SYSTEMS[source_of(row) or row].stages
    return seeds if trained else seeds[:1]


def source_of(row):
    """The row whose samples a row starts from, or None."""
    return None if row in SUBMISSIONS else ROWS[row].samples_of


def owners_of(dataset, row):
    """{stage: row that trains it} of the stages of a row: rows that are set alike share what is trained."""
    of = OWNERS[CONFIGURATION.datasets[dataset].preset]
    return {stage: of[row, stage] for stage in SYSTEMS[row].stages}


def sample_seeds(dataset, row):
    """Sampling seeds of a row: those of the dataset; of a submission one per file."""
    if row in SUBMISSIONS:
        return list(range(len(SUBMISSIONS[row].file)))
    return for_dataset(CONFIGURATION, dataset, "sample_seeds")


def groups():
    """(label, dataset, geometries, sampling seeds, rows, swept) of which one job's inputs and outputs are the same.

    Every measuring stage has one rule for each, since these lists cannot depend on wildcards. Datasets and submissions
    differ in sampling seeds, rows in geometries, and variants of a sweep have no energies.
    """
    for dataset in CONFIGURATION.datasets:
        alike = {}
        for row in SYSTEMS:
            key = GEOMETRIES_OF[row], tuple(sample_seeds(dataset, row)), row in SWEPT
            alike.setdefault(key, []).append(row)
        for number, ((geometries, seeds, swept), rows) in enumerate(sorted(alike.items())):
            label = f"{dataset}_{'_'.join(geometries)}_{number}"
            yield label, dataset, geometries, seeds, rows, swept


def of_samples(geometries, seeds, file):
    """Patterns of one file per sampling seed and geometry; dataset, row and train_seed stay wildcards."""
    folder = "results/{{dataset}}/{{row}}/train{{train_seed}}/sample{seed}/{geometry}/{file}"
    return expand(folder, seed=seeds, geometry=geometries, file=file)


def stage_files(dataset, ending):
    """One file per training seed and trained stage of the rows of a dataset."""
    files = [
        f"results/{dataset}/{owner}/train{seed}/{stage}{ending}"
        for row in rows_of(dataset)
        for seed in train_seeds(dataset, row)
        for stage, owner in owners_of(dataset, row).items()
    ]
    return list(dict.fromkeys(files))


def row_files(dataset, file, rows=None):
    """One file per row (of all, or of those given), training seed, sampling seed and geometry of a dataset."""
    return [
        f"results/{dataset}/{row}/train{train}/sample{sample}/{geometry}/{file}"
        for row in (rows_of(dataset) if rows is None else rows)
        for train in train_seeds(dataset, row)
        for sample in sample_seeds(dataset, row)
        for geometry in GEOMETRIES_OF[row]
    ]


def autoencoder_rows(dataset):
    """Rows of a dataset whose system can reconstruct molecules; of those that share all of it the first."""
    found = {}
    for row in rows_of(dataset):
        if SYSTEMS[row].uses.encode:
            by = owners_of(dataset, row)
            found.setdefault(tuple(by[stage] for stage in SYSTEMS[row].uses.encode), row)
    return list(found.values())


def interpolating_rows(dataset):
    """Rows of a dataset whose system can decode paths between codes; of those that share all of it the first."""
    return [row for row in autoencoder_rows(dataset) if SYSTEMS[row].uses.interpolate]


def trained_files(dataset, rows, file):
    """One file per row and training seed."""
    return [f"results/{dataset}/{row}/train{seed}/{file}" for row in rows for seed in train_seeds(dataset, row)]


def weights(wildcards, stages):
    """Weights files of some stages for the row and training seed of a job."""
    by = owners_of(wildcards.dataset, wildcards.row)
    return [
        f"results/{wildcards.dataset}/{by[stage]}/train{wildcards.train_seed}/{stage}.safetensors" for stage in stages
    ]


def named(files):
    """`stage=file` for every weights file, as the commands want them."""
    return [f"{Path(file).name.removesuffix('.safetensors')}={file}" for file in files]


def settings_of(wildcards, stage):
    """JSON of the hyper-parameters of a stage (or of `sampling`) of the row of a job."""
    return as_json(hyperparameters(ROWS[wildcards.row], stage, CONFIGURATION.datasets[wildcards.dataset].preset))


def source_samples(wildcards):
    """Raw samples of the row named by samples_of, for all sampling seeds; none for rows that stand alone."""
    source = source_of(wildcards.row)
    if source is None:
        return []
    return expand(
        of_samples(["raw"], sample_seeds(wildcards.dataset, source), "samples.parquet"),
        dataset=wildcards.dataset,
        row=source,
        train_seed=wildcards.train_seed,
    )


def source_option(wildcards):
    """The folder of the row whose samples this row starts from, as an option."""
    source = source_of(wildcards.row)
    return f"--source results/{wildcards.dataset}/{source}/train{wildcards.train_seed}" if source else ""


def sample_shards(wildcards):
    """What says that every shard of a row's sampling is done; nothing where there is one job, or no network."""
    count = CONFIGURATION.sample_shards
    if count == 1 or not SYSTEMS[wildcards.row].stages:
        return []
    folder = f"results/{wildcards.dataset}/{wildcards.row}/train{wildcards.train_seed}"
    return [f"{folder}/sampled.{shard}-of-{count}" for shard in range(1, count + 1)]


# What every job that samples is told, beside its source.
SAMPLING = {
    "system": lambda wildcards: ROWS[wildcards.row].base,
    "weights": lambda wildcards, input: [f"--weights {weight}" for weight in named(input.weights)],
    "hyperparameters": lambda wildcards: settings_of(wildcards, "sampling"),
    "requested": lambda wildcards: for_dataset(CONFIGURATION, wildcards.dataset, "sample_count"),
    "seeds": lambda wildcards: [f"--seed {seed}" for seed in sample_seeds(wildcards.dataset, wildcards.row)],
    "folder": lambda wildcards: f"results/{wildcards.dataset}/{wildcards.row}/train{wildcards.train_seed}",
}


def device(wildcards):
    """Device of a training or sampling job: rows that train nothing (controls) have no network to put on a GPU."""
    return CONFIGURATION.device if SYSTEMS[wildcards.row].stages else "cpu"


def gpus(wildcards):
    """GPUs of a training or sampling job. `auto` counts one where this machine has a driver; on a login node say cuda."""
    return int({"cpu": False, "cuda": True, "auto": Path(os.sep, "dev", "nvidiactl").exists()}[device(wildcards)])


def fcd_option(wildcards):
    """Whether the Fréchet ChemNet distance is measured, as an option."""
    return "--fcd" if CONFIGURATION.metrics.fcd else "--no-fcd"


def metric_options(wildcards):
    """What `latent3d score` measures, as its options; of variants of a sweep no PoseBusters and no FCD."""
    if wildcards.row in SWEPT:
        return "--posebusters 0 --energy-ratio 0 --no-fcd"
    metrics = CONFIGURATION.metrics
    return f"--posebusters {metrics.posebusters} --energy-ratio {metrics.energy_ratio} {fcd_option(wildcards)}"


def energy_options(_):
    """What `latent3d energy` computes, as its options."""
    energy = CONFIGURATION.energy
    return (
        f"--relaxation {energy.relaxation} --strain {energy.strain} --dynamics {energy.dynamics}"
        f" --gfn2-dynamics {energy.gfn2_dynamics}"
    )
