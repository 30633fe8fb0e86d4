"""Commands that make tables, figures and the report."""

from pathlib import Path

from latent3d.cli.app import Argument, Option, app
from latent3d.reporting.catalogue import FIGURES, SHARED_FIGURES, TABLES, choose


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
    from latent3d.reporting.rows import parse_rows
    from latent3d.reporting.tables import make_table, write_table

    choose("table", name, TABLES)
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
    from latent3d.reporting.rows import parse_rows

    choose("figure", name, FIGURES | SHARED_FIGURES)
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
