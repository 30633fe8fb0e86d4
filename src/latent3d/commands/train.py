"""One training stage from files to files: weights, log and cost."""

import shutil
from dataclasses import replace
from pathlib import Path

from latent3d.base.files import hash_configuration, hash_file
from latent3d.base.run import Run, versions, write_run
from latent3d.base.settings import Settings
from latent3d.data.molecules.parquet import read_parquet
from latent3d.judges import judge_names, load_judge
from latent3d.systems import load_system
from latent3d.training.loop import write_log
from latent3d.training.weights import write_weights


def train_stage(
    system: str,
    stage: str,
    data_file: Path,
    needs: dict[str, Path],
    settings: Settings,
    run: Run,
    out: Path,
) -> None:
    """Train a stage of a system or judge and write out (weights), {out}.log.csv and {out}.run.json beside it.

    The checkpoint lives in a folder of `run.work` named by everything that the weights depend on: a changed
    configuration starts anew, the same one resumes. It is removed when the weights are written.
    """
    data_hash, hyperparameters = hash_file(data_file), settings.model_dump()
    depends_on = [
        system,
        stage,
        data_hash,
        {name: hash_file(path) for name, path in needs.items()},
        hyperparameters,
        run.seed,
        run.device,
        run.precision,
        versions(["latent3d", "torch"]),
    ]
    folder = run.work / f"{stage}-{hash_configuration(depends_on)}"
    data = read_parquet(data_file)
    trained = load_judge(system) if system in judge_names() else load_system(system)
    result, extra = trained.fit(stage, data, needs, settings, replace(run, work=folder))
    if not run.is_main:
        return
    write_log(out.with_suffix(".log.csv"), result.log)
    write_run(
        out.with_suffix(".run.json"),
        result.seconds,
        device=run.device_name(),
        processes=result.processes,
        parameters=sum(tensor.numel() for tensor in result.weights.values()),
        steps=result.steps,
        hyperparameters=hyperparameters,
        seed=run.seed,
        versions=versions(["latent3d", "lightning-fabric", "numpy", "rdkit", "torch"]),
    )
    write_weights(out, result.weights, system, stage, hyperparameters, data_sha256=data_hash, seed=run.seed, **extra)
    shutil.rmtree(folder, ignore_errors=True)
