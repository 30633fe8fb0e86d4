"""Commands that train models and let them work."""

from pathlib import Path

from latent3d.base.errors import UserError
from latent3d.cli.app import Argument, Option, app
from latent3d.cli.arguments import check_origin, named_files, parse_shard, resolved
from latent3d.plan import (
    check_precision,
    check_stage,
    check_weights,
    system_defaults,
)

RELEASED = "qm9_cpu"  # dataset of the released weights that are taken unless another is named


@app.command("train")
def _train(
    system: str = Argument(help="name of the system"),
    stage: str = Argument(help="one of the stages in its defaults.yaml"),
    data: Path = Option(help="dataset.parquet"),
    needs: list[str] = Option([], help="STAGE=FILE, weights of each stage this one needs"),
    preset: str = Option("default", help="preset of the system's defaults.yaml"),
    hyperparameters: str = Option("{}", help="JSON: hyper-parameters of the stage that differ from the preset"),
    seed: int = Option(0, help="training seed"),
    out: Path = Option(help="weights to write (.safetensors); log and cost are written beside it"),
    checkpoints: Path = Option(Path("checkpoints"), help="folder for unfinished work"),
    device: str = Option("auto", help="auto, cpu or cuda"),
    precision: str = Option("32-true", help="32-true or bf16-mixed"),
    time_limit: float | None = Option(None, help="seconds; then save, stop with exit code 75, resume when run again"),
) -> None:
    """Train one stage of a system; resumes from its last checkpoint."""
    from latent3d.base.run import Run, resolve_device
    from latent3d.commands.train import train_stage

    files = named_files(needs)
    check_stage(system, stage, files)
    check_precision(precision)
    settings = resolved(system, stage, preset, hyperparameters)
    check_origin(files, system, data)
    run = Run(seed, checkpoints, resolve_device(device), precision, time_limit)
    train_stage(system, stage, data, files, settings, run, out)


@app.command("sample")
def _sample(
    system: str = Option(help="name of the system"),
    requests: Path | None = Option(None, help="requests.parquet of a benchmark; instead of --count and --seed"),
    count: int | None = Option(None, min=1, help="molecules to draw, of the task unconditional"),
    seed: int = Option(0, min=0, help="sampling seed, with --count"),
    data: Path | None = Option(None, help="dataset.parquet; controls alone draw from it"),
    weights: list[str] = Option([], help="STAGE=FILE, weights of every stage; without them those that were released"),
    released: str = Option(RELEASED, help="dataset on which released weights were trained"),
    preset: str = Option("default", help="preset of the system's defaults.yaml"),
    hyperparameters: str = Option("{}", help="JSON: hyper-parameters of `sampling` that differ from the preset"),
    source: Path | None = Option(None, help="control rows: samples.parquet of the row whose samples are used"),
    out: Path = Option(
        help="samples.parquet of a row with --requests, else a molecule file (.sdf, .xyz, .smi, .parquet)"
    ),
    checkpoints: Path = Option(Path("checkpoints"), help="folder for finished chunks, which are not drawn again"),
    shard: str | None = Option(
        None, help="I/N: only the I-th of N parts, which waits in --checkpoints for a call without"
    ),
    device: str = Option("auto", help="auto, cpu or cuda"),
) -> None:
    """Answer requests with samples; continues where an interrupted run stopped."""
    from latent3d.base.run import Run, resolve_device
    from latent3d.commands.release import released_weights
    from latent3d.commands.requests import read_requests
    from latent3d.commands.sample import Sampling, sample, sample_to_file
    from latent3d.tasks import requests_of

    if (requests is None) == (count is None):
        raise UserError("Give --requests FILE, or --count and --seed: what is to be sampled.")
    files = named_files(weights) if weights else released_weights(system, released)
    check_weights(f"sampling from system {system!r}", files, system_defaults(system).uses.generate)
    settings = resolved(system, "sampling", preset, hyperparameters)
    check_origin(files, system, data)
    sampling = Sampling(system, files, settings, data, source, Run(0, checkpoints, resolve_device(device)))
    if requests is not None:
        sample(sampling, read_requests(requests), out, None if shard is None else parse_shard(shard))
    elif shard is not None:
        raise UserError("--shard goes with --requests: parts of a row, which a call without --shard puts together.")
    else:
        sample_to_file(sampling, requests_of("unconditional")(None, {}, count, [seed]), out)


@app.command("reconstruct")
def _reconstruct(
    system: str = Argument(help="name of a system with an autoencoder"),
    data: Path = Option(help="dataset.parquet; its test split is reconstructed"),
    weights: list[str] = Option([], help="STAGE=FILE, weights of every stage that encoding uses"),
    out: Path = Option(help="reconstruction.json to write"),
    device: str = Option("auto", help="auto, cpu or cuda"),
) -> None:
    """Encode and decode the test split: exact matches, RMSD, chirality, symmetries of the codes."""
    from latent3d.base.run import Run, resolve_device
    from latent3d.commands.reconstruct import evaluate_autoencoder

    stages = system_defaults(system).uses.encode
    if not stages:
        raise UserError(f"System {system!r} has no autoencoder; reconstruct systems whose defaults.yaml says so.")
    files = _codec_weights("reconstruction", system, stages, weights, data)
    evaluate_autoencoder(system, files, data, Run(0, out.parent, resolve_device(device)), out)


@app.command("interpolate")
def _interpolate(
    system: str = Argument(help="name of a system whose codes can be interpolated"),
    data: Path = Option(help="dataset.parquet; pairs of its test split are drawn"),
    weights: list[str] = Option([], help="STAGE=FILE, weights of every stage that interpolation uses"),
    out: Path = Option(help="interpolation.parquet to write"),
    device: str = Option("auto", help="auto, cpu or cuda"),
) -> None:
    """Decode the straight path between the codes of pairs of test molecules."""
    from latent3d.base.run import Run, resolve_device
    from latent3d.commands.interpolate import write_interpolation

    stages = system_defaults(system).uses.interpolate
    if not stages:
        raise UserError(f"System {system!r} cannot interpolate; take systems whose defaults.yaml says so.")
    files = _codec_weights("interpolation", system, stages, weights, data)
    write_interpolation(system, files, data, Run(0, out.parent, resolve_device(device)), out)


def _codec_weights(what: str, system: str, stages: list[str], weights: list[str], data: Path) -> dict[str, Path]:
    """The weights files of the stages that encode and decode, checked."""
    files = named_files(weights)
    check_weights(f"{what} by system {system!r}", files, stages)
    check_origin(files, system, data)
    return files


@app.command("release")
def _release(
    dataset: str = Argument(help="name of the dataset, a folder under --results"),
    row: str = Argument(help="row whose weights are released"),
    seed: int = Option(0, help="training seed"),
    results: Path = Option(Path("results"), help="folder with the weights and tables"),
    out: Path = Option(Path("resources/checkpoints"), help="folder of released weights"),
) -> None:
    """Write the weights of a row in half precision, with a card of what they measured, for others to sample with."""
    from latent3d.commands.release import release

    release(results, dataset, row, seed, out)
