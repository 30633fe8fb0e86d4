"""Commands that relax, compute and score molecules."""

import json
from pathlib import Path

from latent3d.base.errors import UserError
from latent3d.cli.app import Argument, Option, app
from latent3d.cli.arguments import cores, named_files, parse_count, parse_object, parse_shard

_POSEBUSTERS = Option("all", help="samples that get PoseBusters' quick tests: a number (seeded draw), or all")
_ENERGY_RATIO = Option("1000", help="those of them that get its slow energy-ratio test: a number, or all")
_FCD = Option(True, "--fcd/--no-fcd", help="the Fréchet ChemNet distance (a network; the rest needs none)")


@app.command()
def relax(files: list[Path] = Argument(..., help="samples.parquet files in folders named raw")) -> None:
    """Relax x/raw/samples.parquet with MMFF94 (at most 200 iterations) into x/mmff/samples.parquet."""
    from latent3d.commands.relax import relax_file

    for file in files:
        relax_file(file)


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
    task: str = Option("unconditional", help="what was asked of the samples, a folder of tasks/"),
    requests: Path | None = Option(None, help="requests.parquet that the samples answer"),
    identity: str | None = Option(
        None, help="of a row's samples, JSON with benchmark, row, train_seed, variant: write measures.parquet"
    ),
    failures: bool = Option(False, "--failures", help="write the failed samples to failures.sdf as well"),
    json_output: bool = Option(False, "--json", help="print metrics.json instead of a table"),
    quiet: bool = Option(False, "--quiet", help="print no table"),
    processes: int = Option(cores(), min=1, help="worker processes, one thread each"),
) -> None:
    """Judge files of molecules: validity, stability, PoseBusters, geometry, distances to real molecules."""
    from latent3d.base.files import stem
    from latent3d.commands.score import score_files
    from latent3d.evaluation.context import Options

    if out and len(out) != len(files):
        raise UserError(
            f"--out is given {len(out)} times for {len(files)} files. Give it once per file, or not at all."
        )
    folders = out or [file.with_name(f"{stem(file)}_score") for file in files]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError("Two files would be scored into one folder. Give every file a folder of its own by --out.")
    options = Options(parse_count("--posebusters", posebusters), parse_count("--energy-ratio", energy_ratio), fcd, seed)
    of_row = None if identity is None else parse_object("--identity", identity)
    results = score_files(
        *(files, folders, reference, reference_energies, options, processes, failures, task, requests, of_row)
    )
    if of_row is not None:
        return
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
    processes: int = Option(cores(), min=1, help="worker processes, one thread each"),
) -> None:
    """Statistics of a dataset's training molecules, and what its test molecules score: done once for many files."""
    from latent3d.commands.reference import make_reference_file
    from latent3d.evaluation.context import Options

    options = Options(parse_count("--posebusters", posebusters), parse_count("--energy-ratio", energy_ratio), fcd)
    make_reference_file(dataset, out, options, processes)


@app.command("energy")
def _energy(
    files: list[Path] = Argument(help="molecules with coordinates: .sdf, .xyz (also .gz) or .parquet"),
    relaxation: str = Option("all", help="samples of each file to relax with GFN2-xTB: a number (seeded draw), or all"),
    strain: str = Option("all", help="samples that get an MMFF94s strain energy, likewise"),
    dynamics: str = Option("0", help="samples that get 10 ps of MMFF94s dynamics, likewise"),
    gfn2_dynamics: str = Option("0", help="samples that get 10 ps of GFN2-xTB dynamics, likewise; a minute each"),
    split: str | None = Option(None, help="of a dataset's file: only the molecules of this split, e.g. test"),
    shard: str | None = Option(
        None, help="I/N: only the I-th of N parts of every file, which waits in --checkpoints for a call without"
    ),
    seed: int = Option(0, min=0, help="of the draws and of the dynamics"),
    processes: int = Option(cores(), min=1, help="worker processes, one thread each"),
    checkpoints: Path = Option(Path("checkpoints"), help="folder for finished work; an interrupted run continues"),
) -> None:
    """Write energies.parquet beside each file: single points of all samples, relaxations, strain, dynamics."""
    from latent3d.calculations.engine import Request
    from latent3d.commands.compute import compute_files

    request = Request(
        parse_count("--relaxation", relaxation),
        parse_count("--strain", strain),
        parse_count("--dynamics", dynamics),
        parse_count("--gfn2-dynamics", gfn2_dynamics),
        seed,
    )
    compute_files(files, request, processes, checkpoints, split, None if shard is None else parse_shard(shard))


@app.command("judge")
def _judge(
    file: Path = Argument(help="samples.parquet of a row"),
    weights: list[str] = Option(help="JUDGE:STAGE=FILE, weights of every stage of every judge"),
    out: Path = Option(help="judged.parquet to write"),
    device: str = Option("auto", help="auto, cpu or cuda"),
) -> None:
    """Write what trained predictors say of samples."""
    from latent3d.base.run import Run, resolve_device
    from latent3d.commands.judge import judge_samples

    judges: dict[str, dict[str, Path]] = {}
    for name, path in named_files(weights).items():
        judge, colon, stage = name.partition(":")
        if not colon:
            raise UserError(f"--weights {name}=...: give JUDGE:STAGE=FILE.")
        judges.setdefault(judge, {})[stage] = path
    judge_samples(file, judges, Run(0, out.parent, resolve_device(device)), out)


@app.command("metrics")
def _metrics(out: Path = Option(help="page to write, e.g. docs/metrics.md")) -> None:
    """Write the page on all metrics, made of the registry that the tables' headers come from."""
    from latent3d.base.files import write_text
    from latent3d.reporting.metrics_page import metrics_page

    write_text(out, metrics_page())
