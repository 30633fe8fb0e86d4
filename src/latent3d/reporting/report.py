"""One self-contained HTML file: tables, figures, what failed and why, samples in 3D, provenance. Opens offline."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from latent3d.base.errors import UserError
from latent3d.base.files import write_text
from latent3d.base.layout import MEASURES, SAMPLES
from latent3d.data.parquet import read_metadata
from latent3d.evaluation.energy.energies import CALCULATIONS
from latent3d.reporting.catalogue import Entry
from latent3d.reporting.gallery import SHOWN, gallery, viewer
from latent3d.reporting.material import Material
from latent3d.reporting.report_tables import failure_matrix, layout
from latent3d.reporting.sets import Sets

HERE = Path(__file__).parent
FAILURES = {
    None: "Not strictly valid, or without an energy",
    "single_point": "GFN2-xTB single point",
    "relaxation": "GFN2-xTB relaxation",
    "strain": "MMFF94s strain",
    "md_mmff": "MMFF94s dynamics",
    "md_gfn2": "GFN2-xTB dynamics",
}
"""Headings, by calculation; None for the samples themselves."""


@dataclass(frozen=True)
class Chapter:
    """A benchmark: what its tables and figures are made of, and their entries by name, the main table first.

    The figures of sweeps and comparisons have the names that the configuration gives them.
    """

    material: Material
    tables: Mapping[str, Entry]
    figures: Mapping[str, Entry]

    @property
    def name(self) -> str:
        """Of the benchmark."""
        return self.material.benchmark


def write_report(files: list[Path], chapters: list[Chapter], out: Path) -> None:
    """Write the report on the benchmarks' tables and figures: `files`, and no others that may lie beside them.

    Raises:
        UserError: a file is missing, or a benchmark's main table is not among them.
    """
    for file in files:
        if not file.is_file():
            raise UserError(f"{file} does not exist. Make it first: it is a target of the workflow.")
    given = {file.name: file for file in files}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    names = [chapter.name for chapter in chapters]
    page = environment.get_template("report.html.jinja").render(
        css=Markup((HERE / "report.css").read_text()),
        javascript=Markup((HERE / "report.js").read_text() + (HERE / "gallery.js").read_text()),
        benchmarks=[_benchmark(chapter, given, names) for chapter in chapters],
        gallery=_script_data(gallery([chapter.material for chapter in chapters])),
        shown=SHOWN,
        viewer=viewer(),
        **_provenance(chapters),
    )
    write_text(out, page)


def _benchmark(chapter: Chapter, given: Mapping[str, Path], names: list[str]) -> dict[str, Any]:
    """Everything the template shows of one benchmark."""
    material = chapter.material
    return {
        "name": chapter.name,
        "subset": material.subset,
        "rows": [row.name for row in material.rows],
        "tables": [
            {"name": name, "title": entry.title, "short": entry.title.split(" ")[0].strip(","), **layout(table)}
            for name, entry in chapter.tables.items()
            if (table := _table(chapter, name, given)) is not None and len(table)
        ],
        "figures": [
            {"title": _title(chapter, name), "data": _data_uri(path)}
            for name, path in _figures(chapter, given, names).items()
        ],
        "failures": _failures(material),
    }


def _table(chapter: Chapter, name: str, given: Mapping[str, Path]) -> pd.DataFrame | None:
    """A table, if it is among the files; the main one must be."""
    main = name == next(iter(chapter.tables))
    file = Path(chapter.material.layout.table(None if main else name, chapter.name)).name
    if file not in given:
        if main:
            raise UserError(f"{file} is not among the report's files. Give it as well.")
        return None
    try:
        return pd.read_csv(given[file], dtype={"training_seeds": str, "sampling_seeds": str, "n_per_seed": str})
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"{given[file]} is not a readable table ({error}). Delete it and make it again.") from error


def _figures(chapter: Chapter, given: Mapping[str, Path], names: list[str]) -> dict[str, Path]:
    """Figures of a benchmark by name, in their order."""
    found = {}
    for file, path in given.items():
        of = [name for name in names if file.startswith("fig_") and file.endswith(f"_{name}.svg")]
        if of and max(of, key=len) == chapter.name:
            found[file.removeprefix("fig_").removesuffix(f"_{chapter.name}.svg")] = path
    order = {name: place for place, name in enumerate(chapter.figures)}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def _title(chapter: Chapter, figure: str) -> str:
    title = chapter.figures[figure].title if figure in chapter.figures else "{figure}"
    return title.format(figure=figure.replace("_", " "))


def _failures(material: Material) -> list[dict[str, Any]]:
    """Failures by reason over all seeds, of every kind that was asked for: one matrix of rows and reasons each."""
    lines: dict[str | None, list[tuple[str, str, int, dict[str, int]]]] = {kind: [] for kind in FAILURES}
    for row, variant, sets in material.all_sets():
        for kind in FAILURES:
            if asked := _asked(sets, kind):
                failures = {reason: count for reason, count in sets.failures(kind).items() if count}
                lines[kind].append((row.name, variant, asked, failures))
    return [{"title": FAILURES[kind], **failure_matrix(of_kind)} for kind, of_kind in lines.items() if of_kind]


def _asked(sets: Sets, calculation: str | None) -> int:
    """Of how many samples a calculation was asked for; all get a single point, where energies were measured."""
    if calculation not in (None, CALCULATIONS[0]):
        return sum(sets.count(f"{calculation}_asked"))
    return sum(sets.count("requested")) if calculation is None or "gfn2_success" in sets.measured else 0


def _provenance(chapters: list[Chapter]) -> dict[str, Any]:
    """Package versions, each once, and the hash of every samples file behind the tables."""
    versions: dict[str, set[str]] = {}
    files = []
    for chapter in chapters:
        material = chapter.material
        for row in material.rows:
            for variant in row.variants:
                for file in material.of_samples(row, variant, MEASURES):
                    origin = read_metadata(file).get("provenance", {})
                    path = file.with_name(SAMPLES).relative_to(material.layout.root)
                    files.append({"path": path, "sha256": origin.get("samples_sha256", "")})
                    energies = (origin.get("energies") or {}).get("versions", {})
                    for package, version in (origin.get("versions", {}) | energies).items():
                        versions.setdefault(package, set()).add(version)
    return {"files": files, "versions": {name: ", ".join(sorted(found)) for name, found in sorted(versions.items())}}


def _script_data(value: Any) -> Markup:
    """JSON in the order given, for a script element, which only `</` could end."""
    return Markup(json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))


def _data_uri(path: Path) -> str:
    # An <img> keeps the identifiers inside several SVG files apart, which inlined <svg> elements would mix up.
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()
