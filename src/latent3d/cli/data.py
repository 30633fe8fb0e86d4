"""Commands that bring data in."""

from pathlib import Path

from latent3d.base.errors import UserError
from latent3d.cli.app import Argument, Option, app
from latent3d.cli.arguments import cores, parse_object


@app.command("download")
def _download(
    dataset: str = Argument(help="qm9"),
    out: Path = Option(help="Parquet file to write, e.g. results/raw/qm9.parquet"),
    cache: Path = Option(Path("downloads"), help="folder for the raw archives; interrupted downloads continue there"),
    processes: int = Option(cores(), min=1, help="processes that look for bonds, one thread each"),
) -> None:
    """Fetch a dataset (from the folder LATENT3D_MIRROR names, else from its publisher) and give it bonds and split."""
    from latent3d.data.datasets.qm9 import make_qm9

    if dataset != "qm9":
        raise UserError(f"There is no dataset {dataset!r} to download; there is qm9.")
    make_qm9(out, cache, processes)


@app.command("prepare")
def _prepare(
    file: Path = Argument(help="molecules: .parquet, or .sdf, .xyz (also .gz), with coordinates"),
    out: Path = Option(help="dataset.parquet to write"),
    settings: str = Option(help="the dataset's settings of config.yaml, as JSON: split, train_size, test_size..."),
    processes: int = Option(cores(), min=1, help="worker processes, one thread each"),
) -> None:
    """Make a dataset of a molecule file: bonds, split and subset; what cannot be used is dropped and counted."""
    from latent3d.commands.prepare import prepare

    prepare(file, out, settings, processes)


@app.command("submission")
def _submission(
    files: list[Path] = Argument(
        help="molecules with coordinates that another program made: .sdf, .xyz (also .gz), .parquet; one file per seed"
    ),
    out: Path = Option(help="samples.parquet to write"),
) -> None:
    """Take files of molecules as samples of a row; every record counts, also what cannot be read."""
    from latent3d.commands.submission import submit

    submit(files, out)


@app.command("requests")
def _requests(
    task: str = Argument(help="name of the folder under tasks/"),
    data: Path = Option(help="dataset.parquet"),
    settings: str = Option("{}", help="JSON: what the benchmark says of its requests"),
    count: int = Option(min=1, help="requests per seed"),
    seed: list[int] = Option([0], help="sampling seed; give it once per seed"),
    out: Path = Option(help="requests.parquet to write"),
) -> None:
    """Write what is asked of every row of a benchmark, once."""
    from latent3d.commands.requests import write_requests

    write_requests(task, data, parse_object("--settings", settings), count, seed, out)
