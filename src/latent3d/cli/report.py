"""Commands that make tables, figures and the report."""

from pathlib import Path

from latent3d.base.layout import Layout
from latent3d.cli.app import Argument, Option, app

_TASK = Option("unconditional", help="the benchmark's task, a folder of tasks/")
_ROWS = Option(help="JSON list of rows (see reporting/rows.py), as the workflow writes it")
_RESULTS = Option(Path("results"), help="folder with the measurements")


@app.command("table")
def _table(
    name: str = Argument(help="quality, distribution, energy, autoencoder, cost, or another of the task"),
    benchmark: str = Option(help="name of the benchmark"),
    task: str = _TASK,
    rows: str = _ROWS,
    results: Path = _RESULTS,
    published: Path | None = Option(None, help="table of published numbers to stand beside ours"),
    out: Path = Option(help="table to write (.csv)"),
) -> None:
    """Make a table from measurements: one line per row and variant, mean and standard deviation over seeds."""
    from latent3d.plan.entries import tables_of
    from latent3d.reporting.catalogue import choose
    from latent3d.reporting.make import make_table
    from latent3d.reporting.material import Material
    from latent3d.reporting.published import read_published
    from latent3d.reporting.rows import parse_rows

    entry = choose("table", name, tables_of(task))
    numbers = read_published(published) if published else None
    make_table(entry, Material(benchmark, parse_rows(rows), Layout(results), numbers), out)


@app.command("figure")
def _figure(
    name: str = Argument(help="quality, energy, ..., or another of the task; sweep or comparison"),
    benchmark: str = Option(help="name of the benchmark"),
    task: str = _TASK,
    rows: str = _ROWS,
    results: Path = _RESULTS,
    published: Path | None = Option(None, help="table of published numbers, for figures that show some"),
    out: Path = Option(help="figure to write (.svg); a .png is written beside it"),
) -> None:
    """Draw a figure from measurements."""
    from latent3d.plan.entries import figures_of
    from latent3d.reporting.catalogue import SHARED_FIGURES, choose
    from latent3d.reporting.make import make_figure
    from latent3d.reporting.material import Material
    from latent3d.reporting.published import read_published
    from latent3d.reporting.rows import parse_rows

    entry = choose("figure", name, figures_of(task) | SHARED_FIGURES)
    numbers = read_published(published) if published else None
    make_figure(entry, Material(benchmark, parse_rows(rows), Layout(results), numbers), out)


@app.command("report")
def _report(
    files: list[Path] = Argument(help="the tables (.csv) and figures (.svg) to show"),
    results: Path = _RESULTS,
    benchmark: list[str] = Option(help="JSON with name, task, rows and shared; give it once per benchmark"),
    out: Path = Option(help="page to write (.html)"),
) -> None:
    """Write one self-contained HTML page of tables and figures."""
    from latent3d.plan.entries import figures_of, tables_of
    from latent3d.reporting.catalogue import SHARED_FIGURES, choose
    from latent3d.reporting.material import Material
    from latent3d.reporting.report import Chapter, write_report
    from latent3d.reporting.rows import parse_benchmark

    chapters = []
    for one in map(parse_benchmark, benchmark):
        shared = {name: choose("figure", kind, SHARED_FIGURES) for name, kind in sorted(one.shared.items())}
        material = Material(one.name, one.rows, Layout(results))
        chapters.append(Chapter(material, tables_of(one.task), figures_of(one.task) | shared))
    write_report(files, chapters, out)
