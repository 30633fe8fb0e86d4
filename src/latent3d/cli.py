"""The `latent3d` command: what the workflow's rules call, and what users call without Snakemake.

Every command reads and writes the files of the data contract. Modules are imported inside the commands, so that
`latent3d --help` and the light commands start fast.
"""

import os
import sys
from pathlib import Path

# One thread per process unless told otherwise, set before numpy or torch is imported: parallelism is by process.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import typer

from latent3d.errors import StoppedEarly, UserError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
Option = typer.Option
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
    except KeyboardInterrupt:
        print("latent3d: interrupted; run the same command again to continue.", file=sys.stderr)
        sys.exit(130)


@app.callback()
def _common() -> None:
    """latent3d."""


@app.command("table")
def _table(
    name: str = Argument(help="quality, energy, autoencoder or cost"),
    dataset: str = Option(help="name of the dataset, a folder under --results"),
    rows: str = Option(help="JSON list of rows (see reporting/rows.py), as the workflow writes it"),
    results: Path = Option(Path("results"), help="folder with the measurements"),
    published: Path | None = Option(None, help="table of published numbers to stand beside ours"),
    out: Path = Option(help="table to write (.csv)"),
) -> None:
    """Make a table from measurements: one line per row and geometry, mean and standard deviation over seeds."""
    from latent3d.reporting.published import read_published
    from latent3d.reporting.rows import check_choice, parse_rows
    from latent3d.reporting.tables import TABLES, make_table, write_table

    check_choice("table", name, TABLES)
    numbers = read_published(published) if published else None
    write_table(out, make_table(name, dataset, parse_rows(rows), results, numbers))


@app.command("figure")
def _figure(
    name: str = Argument(help="quality, energy, samples or training"),
    dataset: str = Option(help="name of the dataset, a folder under --results"),
    rows: str = Option(help="JSON list of rows (see reporting/rows.py), as the workflow writes it"),
    results: Path = Option(Path("results"), help="folder with the measurements"),
    out: Path = Option(help="figure to write (.svg); a .png is written beside it"),
) -> None:
    """Draw a figure from measurements."""
    from latent3d.reporting.figures import FIGURES, make_figure
    from latent3d.reporting.rows import check_choice, parse_rows

    check_choice("figure", name, FIGURES)
    make_figure(name, dataset, parse_rows(rows), results, out)


@app.command("report")
def _report(
    results: Path = Option(Path("results"), help="folder with tables and figures"),
    datasets: list[str] = Option(help="dataset to report on; give it once per dataset"),
    out: Path = Option(help="page to write (.html)"),
) -> None:
    """Write one self-contained HTML page of all tables and figures."""
    from latent3d.reporting.report import write_report

    write_report(results, datasets, out)


@app.command()
def relax(files: list[Path] = Argument(..., help="samples.parquet files in folders named raw")) -> None:
    """Relax x/raw/samples.parquet with MMFF94 (at most 200 iterations) into x/mmff/samples.parquet."""
    from latent3d.energy.mmff import relax_file

    for file in files:
        relax_file(file)


@app.command()
def score(
    files: list[Path] = Argument(..., help="samples.parquet files; gfn2.parquet beside each is used if there"),
    reference: Path = Option(..., help="dataset.parquet that novelty is measured against"),
    reference_energies: Path = Option(
        None, help="gfn2.parquet of real molecules: the reference of the energy distribution"
    ),
) -> None:
    """Write ledger.parquet and metrics.json beside each samples file."""
    from latent3d.metrics.score import score_files

    score_files(files, reference, reference_energies)


@app.command("energy")
def _energy(
    files: list[Path] = Argument(help="samples.parquet files (or a dataset's Parquet file)"),
    processes: int = Option(_cores(), min=1, help="worker processes, one thread each"),
) -> None:
    """Write gfn2.parquet (GFN2-xTB single points) beside each samples file."""
    from latent3d.energy.evaluate import evaluate_files

    evaluate_files(files, processes)


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
