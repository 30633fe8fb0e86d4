"""One self-contained HTML file: what was run, tables, figures, failures by reason, provenance. Opens offline."""

import base64
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

import latent3d
from latent3d.config import FIGURES
from latent3d.errors import UserError
from latent3d.files import read_json, write_text
from latent3d.metrics.registry import header

HERE = Path(__file__).parent
TITLES = {
    "quality": "Quality",
    "distribution": "Distributions, similarity and novelty of parts",
    "energy": "Energies (GFN2-xTB, MMFF94s)",
    "autoencoder": "Autoencoders (held-out reconstruction)",
    "cost": "Cost",
}
FIGURE_TITLES = {
    "quality": "Stability and validity, raw and after MMFF94",
    "energy": "Energy per atom",
    "relaxation": "Energy lost in relaxation",
    "training": "Training curves",
    "samples": "Samples as generated",
}
# Said once above each table, or found in the failures section, so not repeated in every line.
HIDDEN = ("dataset", "subset", "failures")


def write_report(files: list[Path], results: Path, datasets: list[str], out: Path) -> None:
    """Write the report on the datasets' tables and figures: `files`, and no others that may lie beside them.

    `results` is the folder with the measurements that they were made of.

    Raises:
        UserError: a file is missing, or a dataset has no table of quality among them.
    """
    for file in files:
        if not file.is_file():
            raise UserError(f"{file} does not exist. Make it first: it is a target of the workflow.")
    given = {file.name: file for file in files}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("report.html.jinja").render(
        css=Markup((HERE / "report.css").read_text()),
        javascript=Markup((HERE / "report.js").read_text()),
        version=latent3d.__version__,
        datasets=[_dataset(given, results, dataset, datasets) for dataset in datasets],
    )
    write_text(out, page)


def _dataset(files: dict[str, Path], results: Path, dataset: str, datasets: list[str]) -> dict:
    """Everything the template shows of one dataset."""
    paths = {name: files.get(_table_file(name, dataset)) for name in TITLES}
    tables = {name: path and _read_table(path) for name, path in paths.items()}
    quality = tables["quality"]
    if quality is None:
        raise UserError(f"{_table_file('quality', dataset)} is not among the report's files. Give it as well.")
    return {
        "name": dataset,
        "subset": quality["subset"].iloc[0],
        "rows": list(quality["row"].unique()),
        "tables": [
            {"name": name, "title": TITLES[name], **_cells(table)}
            for name, table in tables.items()
            if table is not None and len(table)
        ],
        "figures": [
            {"title": FIGURE_TITLES.get(name, f"Sweep: {name.replace('_', ' ')}"), "data": _data_uri(path)}
            for name, path in _figures(files, dataset, datasets).items()
        ],
        "failures": _failures(tables),
        **_provenance(results, dataset, quality),
    }


def _figures(files: dict[str, Path], dataset: str, datasets: list[str]) -> dict[str, Path]:
    """Figures of a dataset by name: the known ones in their order, then those of sweeps."""
    found = {}
    for file, path in files.items():
        of = [name for name in datasets if file.startswith("fig_") and file.endswith(f"_{name}.svg")]
        if of and max(of, key=len) == dataset:
            found[file.removeprefix("fig_").removesuffix(f"_{dataset}.svg")] = path
    order = {name: place for place, name in enumerate(FIGURES)}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def _table_file(name: str, dataset: str) -> str:
    return f"table_{dataset}.csv" if name == "quality" else f"table_{name}_{dataset}.csv"


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype={"training_seeds": str, "sampling_seeds": str, "n_per_seed": str})
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a readable table ({error}). Delete it and make it again.") from error


def _cells(table: pd.DataFrame) -> dict:
    """Headers and cells; a mean and its standard deviation share a cell, which sorts by the mean."""
    shown = [
        name
        for name in table.columns
        if name not in HIDDEN and not name.startswith("published_") and not name.endswith("_std")
    ]
    lines = [[_cell(line, name) for name in shown] for line in table.to_dict("records")]
    return {"headers": [header(name) for name in shown], "lines": lines}


def _cell(line: dict, name: str) -> dict:
    value = line[name]
    if pd.isna(value):
        return {"text": "", "sort": "", "title": ""}
    if isinstance(value, str):
        return {"text": value, "sort": value, "title": ""}
    std = line.get(f"{name}_std", float("nan"))
    title = ""
    if name.endswith("_published"):
        details = [line.get("published_protocol"), line["published_source"]]
        title = f"{line['published_system']}: {', '.join(detail for detail in details if isinstance(detail, str))}"
    return {"text": _number(name, float(value), std), "sort": float(value), "title": title}


def _number(name: str, value: float, std: float) -> str:
    """`value ± std` with equal decimals: one for percentages, else so that three digits of the value show."""
    if pd.isna(std) and "_pct" not in name and value.is_integer():
        return f"{int(value):,}"
    if 0 < abs(value) < 1e-4:
        return f"{value:.1e}"
    decimals = 1 if "_pct" in name or value == 0 else min(6, max(0, 2 - int(np.floor(np.log10(abs(value))))))
    return f"{value:,.{decimals}f}" + ("" if pd.isna(std) else f" ± {std:,.{decimals}f}")


def _failures(tables: dict[str, pd.DataFrame | None]) -> list[dict]:
    """Every line with failures: where, and how many by reason, over all seeds."""
    return [
        {"kind": kind, "row": line["row"], "geometry": line["geometry"], "reasons": line["failures"]}
        for name, kind in (("quality", "quality"), ("energy", "energy"))
        if (table := tables[name]) is not None
        for line in table.to_dict("records")
        if isinstance(line["failures"], str)
    ]


def _provenance(results: Path, dataset: str, quality: pd.DataFrame) -> dict:
    """Package versions, and the hash of every samples file behind the tables."""
    versions: dict[str, set[str]] = {}
    files = []
    for line in quality.to_dict("records"):
        for train in line["training_seeds"].split():
            for sample in line["sampling_seeds"].split():
                folder = Path(dataset, line["row"], f"train{train}", f"sample{sample}", line["geometry"])
                origin = read_json(results / folder / "metrics.json").get("provenance", {})
                files.append({"path": folder / "samples.parquet", "sha256": origin.get("samples_sha256", "")})
                for package, version in origin.get("versions", {}).items():
                    versions.setdefault(package, set()).add(version)
    return {"files": files, "versions": {name: ", ".join(sorted(found)) for name, found in sorted(versions.items())}}


def _data_uri(path: Path) -> str:
    # An <img> keeps the identifiers inside several SVG files apart, which inlined <svg> elements would mix up.
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()
