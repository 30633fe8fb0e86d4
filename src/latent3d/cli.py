"""The `latent3d` command: what the workflow's rules call, and what users call without Snakemake.

Every command reads and writes the files of the data contract. Modules are imported inside the commands, so that
`latent3d --help` and the light commands start fast.
"""

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

# One thread per process unless told otherwise, set before numpy or torch is imported: parallelism is by process.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import typer

from latent3d.config import (
    FIGURES,
    TABLES,
    Row,
    autoencoder_stages,
    check_precision,
    check_stage,
    check_weights,
    has_preset,
    system_defaults,
)
from latent3d.config import hyperparameters as hyperparameters_of
from latent3d.config.plain import suggest
from latent3d.errors import StoppedEarly, UserError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
Option = typer.Option
RELEASED = "qm9_cpu"  # dataset of the released weights that are taken unless another is named
Argument = typer.Argument


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence and exit code 2, never in a traceback."""
    try:
        app()
    except UserError as error:
        print(f"latent3d: {error}", file=sys.stderr)
        sys.exit(2)
    except StoppedEarly as stop:
        print(f"latent3d: {stop}", file=sys.stderr)
        sys.exit(75)
    except (KeyboardInterrupt, SystemExit) as end:
        # Typer makes exit code 130 of Ctrl-C, without a word.
        if isinstance(end, SystemExit) and end.code != 130:
            raise
        print("latent3d: interrupted; run the same command again to continue.", file=sys.stderr)
        sys.exit(130)


@app.callback()
def _common() -> None:
    """latent3d."""


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
    from latent3d.run import Run, resolve_device
    from latent3d.training.stage import train_stage

    files = _named_files(needs)
    check_stage(system, stage, files)
    check_precision(precision)
    settings = _resolved(system, stage, preset, hyperparameters)
    _check_origin(files, system, data)
    run = Run(seed, checkpoints, resolve_device(device), precision, time_limit)
    train_stage(system, stage, data, files, settings, run, out)


@app.command("sample")
def _sample(
    system: str = Option(help="name of the system"),
    data: Path | None = Option(None, help="dataset.parquet; controls alone draw from it"),
    weights: list[str] = Option([], help="STAGE=FILE, weights of every stage; without them those that were released"),
    released: str = Option(RELEASED, help="dataset on which released weights were trained"),
    preset: str = Option("default", help="preset of the system's defaults.yaml"),
    hyperparameters: str = Option("{}", help="JSON: hyper-parameters of `sampling` that differ from the preset"),
    count: int = Option(min=1, help="samples per seed"),
    seed: list[int] = Option([0], help="sampling seed; give it once per seed"),
    source: Path | None = Option(None, help="control rows: folder of the row whose samples are used"),
    out: Path = Option(
        help="molecule file of one seed (.sdf, .xyz, .smi, .parquet), or folder: sample{SEED}/raw/samples.parquet in it"
    ),
    checkpoints: Path = Option(Path("checkpoints"), help="folder for unfinished work"),
    shard: str | None = Option(
        None, help="I/N: only the I-th of N parts, which waits in --checkpoints for a call without"
    ),
    device: str = Option("auto", help="auto, cpu or cuda"),
) -> None:
    """Draw samples; continues where an interrupted run stopped."""
    from latent3d.molecules.parquet import read_parquet
    from latent3d.run import Run, resolve_device
    from latent3d.sampling import sample_seed, to_file
    from latent3d.training.release import released_weights

    files = _named_files(weights) if weights else released_weights(system, released)
    check_weights(f"sampling from system {system!r}", files, system_defaults(system).stages)
    settings = _resolved(system, "sampling", preset, hyperparameters)
    _check_origin(files, system, data)
    molecules = None if data is None else read_parquet(data)
    part = None if shard is None else _shard(shard)
    for one in seed:
        run = Run(one, checkpoints, resolve_device(device))
        if out.suffix:
            if len(seed) > 1 or part:
                raise UserError(f"--out {out}: a file holds the samples of one --seed, without --shard. Give a folder.")
            to_file(out, partial(sample_seed, system, files, data, molecules, settings, run, count, source))
        else:
            folder = out / f"sample{one}" / "raw"
            sample_seed(system, files, data, molecules, settings, run, count, source, folder, part)


@app.command("submission")
def _submission(
    file: Path = Argument(help="molecules with coordinates that another program made: .sdf, .xyz (also .gz), .parquet"),
    seed: int = Option(0, help="sampling seed that the file counts as"),
    out: Path = Option(help="samples.parquet to write"),
) -> None:
    """Take a file of molecules as a set of samples; every record counts, also what cannot be read."""
    from latent3d.sampling import submit

    submit(file, seed, out)


@app.command("reconstruct")
def _reconstruct(
    system: str = Argument(help="name of a system with an autoencoder"),
    data: Path = Option(help="dataset.parquet; its test split is reconstructed"),
    weights: list[str] = Option([], help="STAGE=FILE, weights of every stage that another stage needs"),
    out: Path = Option(help="reconstruction.json to write"),
    device: str = Option("auto", help="auto, cpu or cuda"),
) -> None:
    """Encode and decode the test split: exact matches, RMSD, chirality, symmetries of the codes."""
    from latent3d.metrics.autoencoder import evaluate_autoencoder
    from latent3d.run import Run, resolve_device

    if not system_defaults(system).autoencoder:
        raise UserError(f"System {system!r} has no autoencoder; reconstruct systems whose defaults.yaml says so.")
    files = _named_files(weights)
    check_weights(f"reconstruction by system {system!r}", files, autoencoder_stages(system))
    _check_origin(files, system, data)
    evaluate_autoencoder(system, files, data, Run(0, out.parent, resolve_device(device)), out)


@app.command("interpolate")
def _interpolate(
    system: str = Argument(help="name of a system whose codes can be interpolated"),
    data: Path = Option(help="dataset.parquet; pairs of its test split are drawn"),
    weights: list[str] = Option([], help="STAGE=FILE, weights of every stage that another stage needs"),
    out: Path = Option(help="interpolation.parquet to write"),
    device: str = Option("auto", help="auto, cpu or cuda"),
) -> None:
    """Decode the straight path between the codes of pairs of test molecules."""
    from latent3d.interpolation import write_interpolation
    from latent3d.run import Run, resolve_device

    if not system_defaults(system).interpolation:
        raise UserError(f"System {system!r} cannot interpolate; take systems whose defaults.yaml says so.")
    files = _named_files(weights)
    check_weights(f"interpolation by system {system!r}", files, autoencoder_stages(system))
    _check_origin(files, system, data)
    write_interpolation(system, files, data, Run(0, out.parent, resolve_device(device)), out)


def _named_files(pairs: list[str]) -> dict[str, Path]:
    for pair in pairs:
        if "=" not in pair:
            raise UserError(f"{pair!r} must have the form STAGE=FILE, e.g. topology=topology.safetensors.")
    return {name: Path(file) for name, file in (pair.split("=", 1) for pair in pairs)}


def _check_origin(files: dict[str, Path], system: str, data: Path | None) -> None:
    """Raise UserError unless every weights file is of the system and stage it is given as; warn of other data."""
    from latent3d.files import hash_file
    from latent3d.training.weights import read_weights

    elsewhere = []
    for stage, file in files.items():
        metadata = read_weights(file)[1]
        if (metadata["system"], metadata["stage"]) != (system, stage):
            raise UserError(
                f"{file} holds weights of system {metadata['system']!r}, stage {metadata['stage']!r}, not of "
                f"{system!r}, {stage!r}. Give each stage its own file."
            )
        if data is not None and metadata.get("data_sha256") != hash_file(data):
            elsewhere.append(stage)
    if elsewhere:
        print(
            f"latent3d: WARNING: {', '.join(elsewhere)} of {system} were trained on another file than {data}. Novelty "
            "and distances to its training molecules may be of molecules that the weights have not seen.",
            file=sys.stderr,
        )


def _resolved(system: str, stage: str, preset: str, text: str) -> dict[str, Any]:
    """The hyper-parameters of a stage: defaults, preset, then the JSON object `text`; checked."""
    try:
        overrides = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"--hyperparameters is not JSON ({error}); give an object.") from error
    if not isinstance(overrides, dict):
        raise UserError(f"--hyperparameters is {text}; give a JSON object.")
    if not has_preset(system, preset):
        raise UserError(f"--preset: {system} has no {preset!r}.{suggest(preset, system_defaults(system).presets)}")
    return hyperparameters_of(Row(base=system, overrides={stage: overrides}), stage, preset)


@app.command("download")
def _download(
    dataset: str = Argument(help="qm9"),
    out: Path = Option(help="Parquet file to write, e.g. results/raw/qm9.parquet"),
    cache: Path = Option(Path("downloads"), help="folder for the raw archives; interrupted downloads continue there"),
    processes: int = Option(_cores(), min=1, help="processes that look for bonds, one thread each"),
) -> None:
    """Fetch a dataset (from the folder LATENT3D_MIRROR names, else from its publisher) and give it bonds and split."""
    from latent3d.datasets.qm9 import make_qm9

    if dataset != "qm9":
        raise UserError(f"There is no dataset {dataset!r} to download; there is qm9.")
    make_qm9(out, cache, processes)


@app.command("prepare")
def _prepare(
    file: Path = Argument(help="molecules: .parquet, or .sdf, .xyz (also .gz), with coordinates"),
    out: Path = Option(help="dataset.parquet to write"),
    settings: str = Option(help="the dataset's settings of config.yaml, as JSON: split, train_size, test_size..."),
    processes: int = Option(_cores(), min=1, help="worker processes, one thread each"),
) -> None:
    """Make a dataset of a molecule file: bonds, split and subset; what cannot be used is dropped and counted."""
    from latent3d.datasets.prepare import prepare

    prepare(file, out, settings, processes)


@app.command("release")
def _release(
    dataset: str = Argument(help="name of the dataset, a folder under --results"),
    row: str = Argument(help="row whose weights are released"),
    seed: int = Option(0, help="training seed"),
    results: Path = Option(Path("results"), help="folder with the weights and tables"),
    out: Path = Option(Path("resources/checkpoints"), help="folder of released weights"),
) -> None:
    """Write the weights of a row in half precision, with a card of what they measured, for others to sample with."""
    from latent3d.training.release import release

    release(results, dataset, row, seed, out)


@app.command("table")
def _table(
    name: str = Argument(help="quality, distribution, energy, autoencoder or cost"),
    dataset: str = Option(help="name of the dataset, a folder under --results"),
    rows: str = Option(help="JSON list of rows (see reporting/rows.py), as the workflow writes it"),
    results: Path = Option(Path("results"), help="folder with the measurements"),
    published: Path | None = Option(None, help="table of published numbers to stand beside ours"),
    out: Path = Option(help="table to write (.csv)"),
) -> None:
    """Make a table from measurements: one line per row and geometry, mean and standard deviation over seeds."""
    from latent3d.reporting.published import read_published
    from latent3d.reporting.rows import check_choice, parse_rows
    from latent3d.reporting.tables import make_table, write_table

    check_choice("table", name, TABLES)
    numbers = read_published(published) if published else None
    write_table(out, make_table(name, dataset, parse_rows(rows), results, numbers))


@app.command("figure")
def _figure(
    name: str = Argument(help=f"{', '.join(FIGURES)}, sweep or comparison"),
    dataset: str = Option(help="name of the dataset, a folder under --results"),
    rows: str = Option(help="JSON list of rows (see reporting/rows.py), as the workflow writes it"),
    results: Path = Option(Path("results"), help="folder with the measurements"),
    published: Path | None = Option(None, help="table of published numbers, for figures that show some"),
    out: Path = Option(help="figure to write (.svg); a .png is written beside it"),
) -> None:
    """Draw a figure from measurements."""
    from latent3d.reporting.figures import make_figure
    from latent3d.reporting.published import read_published
    from latent3d.reporting.rows import check_choice, parse_rows

    check_choice("figure", name, (*FIGURES, "sweep", "comparison"))
    numbers = read_published(published) if published else None
    make_figure(name, dataset, parse_rows(rows), results, out, numbers)


@app.command("report")
def _report(
    files: list[Path] = Argument(help="the tables (.csv) and figures (.svg) to show"),
    results: Path = Option(Path("results"), help="folder with the measurements"),
    datasets: list[str] = Option(help="dataset to report on; give it once per dataset"),
    out: Path = Option(help="page to write (.html)"),
) -> None:
    """Write one self-contained HTML page of tables and figures."""
    from latent3d.reporting.report import write_report

    write_report(files, results, datasets, out)


@app.command()
def relax(files: list[Path] = Argument(..., help="samples.parquet files in folders named raw")) -> None:
    """Relax x/raw/samples.parquet with MMFF94 (at most 200 iterations) into x/mmff/samples.parquet."""
    from latent3d.energy.mmff import relax_file

    for file in files:
        relax_file(file)


_POSEBUSTERS = Option("all", help="samples that get PoseBusters' quick tests: a number (seeded draw), or all")
_ENERGY_RATIO = Option("1000", help="those of them that get its slow energy-ratio test: a number, or all")
_FCD = Option(True, "--fcd/--no-fcd", help="the Fréchet ChemNet distance (a network; the rest needs none)")


@app.command("score")
def _score(
    files: list[Path] = Argument(help="molecules: .sdf, .xyz, .smi (also .gz) or .parquet, every record one sample"),
    reference: str | None = Option(
        None, help="what to compare with: qm9, mini, a molecule file, or a file of latent3d reference"
    ),
    reference_energies: Path | None = Option(None, help="energies.parquet of real molecules, for the energy distances"),
    out: list[Path] = Option([], help="folder for metrics.json and ledger.csv, once per file; default FILE_score"),
    posebusters: str = _POSEBUSTERS,
    energy_ratio: str = _ENERGY_RATIO,
    fcd: bool = _FCD,
    seed: int = Option(0, min=0, help="of the draws: subsets, folds, bootstrap"),
    failures: bool = Option(False, "--failures", help="write the failed samples to failures.sdf as well"),
    json_output: bool = Option(False, "--json", help="print metrics.json instead of a table"),
    quiet: bool = Option(False, "--quiet", help="print no table"),
    processes: int = Option(_cores(), min=1, help="worker processes, one thread each"),
) -> None:
    """Judge files of molecules: validity, stability, PoseBusters, geometry, distances to real molecules."""
    from latent3d.files import stem
    from latent3d.metrics.score import Options
    from latent3d.metrics.score_files import score_files

    if out and len(out) != len(files):
        raise UserError(
            f"--out is given {len(out)} times for {len(files)} files. Give it once per file, or not at all."
        )
    folders = out or [file.with_name(f"{stem(file)}_score") for file in files]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError("Two files would be scored into one folder. Give every file a folder of its own by --out.")
    options = Options(_count("--posebusters", posebusters), _count("--energy-ratio", energy_ratio), fcd, seed)
    results = score_files(files, folders, reference, reference_energies, options, processes, failures)
    if json_output:
        print(json.dumps(results[0] if len(results) == 1 else results, indent=2, sort_keys=True))
    elif not quiet:
        from latent3d.reporting.scorecard import print_scorecard

        for file, folder, metrics in zip(files, folders, results, strict=True):
            print_scorecard(file, folder, metrics)


@app.command("reference")
def _reference(
    dataset: Path = Argument(help="dataset.parquet"),
    out: Path = Option(help="statistics to write (.safetensors), for latent3d score --reference"),
    posebusters: str = _POSEBUSTERS,
    energy_ratio: str = _ENERGY_RATIO,
    fcd: bool = _FCD,
    processes: int = Option(_cores(), min=1, help="worker processes, one thread each"),
) -> None:
    """Statistics of a dataset's training molecules, and what its test molecules score: done once for many files."""
    from latent3d.metrics.score import Options
    from latent3d.metrics.score_files import make_reference_file

    options = Options(_count("--posebusters", posebusters), _count("--energy-ratio", energy_ratio), fcd)
    make_reference_file(dataset, out, options, processes)


@app.command("metrics")
def _metrics(out: Path = Option(help="page to write, e.g. docs/metrics.md")) -> None:
    """Write the page on all metrics, made of the registry that the tables' headers come from."""
    from latent3d.files import write_text
    from latent3d.reporting.metrics_page import metrics_page

    write_text(out, metrics_page())


def _count(option: str, text: str) -> int | None:
    """A number of samples, None for `all`."""
    if text == "all":
        return None
    if not text.isdecimal():
        raise UserError(f"{option} {text}: give a number of samples, or all.")
    return int(text)


@app.command("energy")
def _energy(
    files: list[Path] = Argument(help="molecules with coordinates: .sdf, .xyz (also .gz) or .parquet"),
    relaxation: str = Option("all", help="samples of each file to relax with GFN2-xTB: a number (seeded draw), or all"),
    strain: str = Option("all", help="samples that get an MMFF94s strain energy, likewise"),
    dynamics: str = Option("0", help="samples that get 10 ps of MMFF94s dynamics, likewise"),
    gfn2_dynamics: str = Option("0", help="samples that get 10 ps of GFN2-xTB dynamics, likewise; a minute each"),
    split: str | None = Option(None, help="of a dataset's file: only the molecules of this split, e.g. test"),
    shard: str = Option("1/1", help="I/N: only the I-th of N parts of every file, for --join"),
    join: int | None = Option(None, min=1, help="compute nothing: put the parts of this many shards together"),
    seed: int = Option(0, min=0, help="of the draws and of the dynamics"),
    processes: int = Option(_cores(), min=1, help="worker processes, one thread each"),
    checkpoints: Path = Option(Path("checkpoints"), help="folder for finished work; an interrupted run continues"),
) -> None:
    """Write energies.parquet beside each file: single points of all samples, relaxations, strain, dynamics."""
    if join is not None:
        from latent3d.energy.energies_file import join_shards

        for file in files:
            join_shards(file, join)
        return
    from latent3d.energy.evaluate import Request, evaluate_files

    request = Request(
        _count("--relaxation", relaxation),
        _count("--strain", strain),
        _count("--dynamics", dynamics),
        _count("--gfn2-dynamics", gfn2_dynamics),
        seed,
    )
    evaluate_files(files, request, processes, checkpoints, split, _shard(shard))


def _shard(text: str) -> tuple[int, int]:
    """(i, n) of `i/n`, the i-th of n."""
    number, slash, shards = text.partition("/")
    if not (slash and number.isdecimal() and shards.isdecimal() and 1 <= int(number) <= int(shards)):
        raise UserError(f"--shard {text}: give I/N, the I-th of N parts, e.g. 1/3.")
    return int(number), int(shards)


@app.command("mini")
def _mini(
    out: Path = Option(help="Parquet file to write, e.g. resources/mini.parquet"),
    processes: int = Option(_cores(), min=1, help="worker processes, one thread each"),
    checkpoints: Path = Option(Path("checkpoints"), help="folder for finished molecules; an interrupted run continues"),
) -> None:
    """Generate the embedded dataset from nothing: enumeration, GFN2-xTB geometries and properties."""
    from latent3d.datasets.mini import make_mini

    make_mini(out, processes, checkpoints)


if __name__ == "__main__":
    main()
