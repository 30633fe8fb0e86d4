"""One self-contained HTML file: tables, figures, what failed and why, samples in 3D, provenance. Opens offline."""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from latent3d.base.errors import UserError
from latent3d.base.files import read_json, write_text
from latent3d.evaluation.energy.energies import CALCULATIONS
from latent3d.reporting.catalogue import FIGURES, SWEEP, TABLES
from latent3d.reporting.gallery import SHOWN, gallery, viewer
from latent3d.reporting.report_tables import failure_matrix, layout

HERE = Path(__file__).parent
FAILURES = {
    "quality": "Not strictly valid, or without an energy",
    "single_point": "GFN2-xTB single point",
    "relaxation": "GFN2-xTB relaxation",
    "strain": "MMFF94s strain",
    "md_mmff": "MMFF94s dynamics",
    "md_gfn2": "GFN2-xTB dynamics",
}


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
    qualities = {dataset: _quality_table(given, dataset) for dataset in datasets}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    folders = {dataset: _first_folders(dataset, quality) for dataset, quality in qualities.items()}
    page = environment.get_template("report.html.jinja").render(
        css=Markup((HERE / "report.css").read_text()),
        javascript=Markup((HERE / "report.js").read_text() + (HERE / "gallery.js").read_text()),
        datasets=[_dataset(given, results, dataset, datasets, qualities[dataset]) for dataset in datasets],
        gallery=_script_data(gallery(results, folders)),
        shown=SHOWN,
        viewer=viewer(),
        **_provenance(results, qualities),
    )
    write_text(out, page)


def _quality_table(files: dict[str, Path], dataset: str) -> pd.DataFrame:
    name = _table_file("quality", dataset)
    if name not in files:
        raise UserError(f"{name} is not among the report's files. Give it as well.")
    return _read_table(files[name])


def _dataset(files: dict[str, Path], results: Path, dataset: str, datasets: list[str], quality: pd.DataFrame) -> dict:
    """Everything the template shows of one dataset."""
    paths = {name: files.get(_table_file(name, dataset)) for name in TABLES}
    tables = {name: _read_table(path) for name, path in paths.items() if path is not None}
    return {
        "name": dataset,
        "subset": quality["subset"].iloc[0],
        "rows": list(quality["row"].unique()),
        "tables": [
            {
                "name": name,
                "title": TABLES[name].title,
                "short": TABLES[name].title.split(" ")[0].strip(","),
                **layout(table),
            }
            for name, table in tables.items()
            if len(table)
        ],
        "figures": [
            {"title": FIGURES.get(name, SWEEP).title.format(figure=name.replace("_", " ")), "data": _data_uri(path)}
            for name, path in _figures(files, dataset, datasets).items()
        ],
        "failures": _failures(results, dataset, quality),
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


def _first_folders(dataset: str, quality: pd.DataFrame) -> dict[str, dict[str, Path]]:
    """By row and geometry: the folder of the first training and sampling seed, relative to results."""
    folders: dict[str, dict[str, Path]] = {}
    for line in quality.to_dict("records"):
        folders.setdefault(line["row"], {})[line["geometry"]] = _folders(dataset, line)[0]
    return folders


def _folders(dataset: str, line: dict) -> list[Path]:
    """Folders of all sets of samples behind a line of the table of quality, relative to results."""
    return [
        Path(dataset, line["row"], f"train{train}", f"sample{sample}", line["geometry"])
        for train in line["training_seeds"].split()
        for sample in line["sampling_seeds"].split()
    ]


def _failures(results: Path, dataset: str, quality: pd.DataFrame) -> list[dict]:
    """Failures by reason over all seeds, of every kind that was asked for: one matrix of rows and reasons each."""
    lines: dict[str, list[tuple[str, str, int, dict[str, int]]]] = {kind: [] for kind in FAILURES}
    for line in quality.to_dict("records"):
        measured = [read_json(results / folder / "metrics.json") for folder in _folders(dataset, line)]
        requested = sum(m["n_requested"] for m in measured)
        where = line["row"], line["geometry"]
        lines["quality"].append((*where, requested, _total(m["failures"] for m in measured)))
        for kind in CALCULATIONS:
            counts = [m["counts"].get(f"{kind}_asked", 0) for m in measured]
            asked = requested if kind == CALCULATIONS[0] else sum(counts)
            if asked and any(m.get("energy_failures") for m in measured):
                failures = _total(m["energy_failures"].get(kind, {}) for m in measured)
                lines[kind].append((*where, asked, failures))
    return [{"title": FAILURES[kind], **failure_matrix(of_kind)} for kind, of_kind in lines.items() if of_kind]


def _total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for of_one in counts:
        total.update(of_one)
    return {reason: count for reason, count in total.items() if count and reason != "ok"}


def _provenance(results: Path, qualities: dict[str, pd.DataFrame]) -> dict:
    """Package versions, each once, and the hash of every samples file behind the tables."""
    versions: dict[str, set[str]] = {}
    files = []
    for dataset, quality in qualities.items():
        for line in quality.to_dict("records"):
            for folder in _folders(dataset, line):
                origin = read_json(results / folder / "metrics.json").get("provenance", {})
                files.append({"path": folder / "samples.parquet", "sha256": origin.get("samples_sha256", "")})
                energies = origin.get("energies", {}).get("versions", {})
                for package, version in (origin.get("versions", {}) | energies).items():
                    versions.setdefault(package, set()).add(version)
    return {"files": files, "versions": {name: ", ".join(sorted(found)) for name, found in sorted(versions.items())}}


def _script_data(value: Any) -> Markup:
    """JSON in the order given, for a script element, which only `</` could end."""
    return Markup(json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))


def _data_uri(path: Path) -> str:
    # An <img> keeps the identifiers inside several SVG files apart, which inlined <svg> elements would mix up.
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()
