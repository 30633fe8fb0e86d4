"""Figures of a dataset by name; here: bars of quality and of comparisons, sweeps and training curves."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from latent3d.base.errors import UserError
from latent3d.evaluation.quantity import header
from latent3d.evaluation.registry import AUTOENCODER, QUALITY
from latent3d.reporting.material import Material
from latent3d.reporting.rows import TableRow
from latent3d.reporting.style import LINE_STYLES, colour
from latent3d.reporting.tables import autoencoder_table, quality_table

PANELS = ("legacy_molecule_stability", "legacy_validity", "strict_validity", "valid_unique_novel")
COMPARED = ("ldm3dg_atom_stability", "ldm3dg_molecule_stability", "molecule_stability", "posebusters_quick")
"""Stability as EDM and LDM-3DG count it (bonds from distances), of the graph that a row claims, and of the geometry."""

RECONSTRUCTED = ("exact_match_2d", "rmsd_heavy", "rmsd_all", "rmsd_heavy_shuffled")


def quality_figure(material: Material) -> plt.Figure:
    """Bars of stability and validity of every row."""
    return _bars_figure(material, "quality of samples", PANELS, "% of requested samples")


def comparison_figure(material: Material) -> plt.Figure:
    """Bars of several kinds of stability of some rows."""
    return _bars_figure(material, "stability of samples", COMPARED, "% of samples")


def _bars_figure(material: Material, title: str, panels: tuple[str, ...], of: str) -> plt.Figure:
    """Bars per row: raw solid, after MMFF94 light; whiskers: standard deviation over seeds; dashes: the first row."""
    rows, table = material.rows, _quality(material).set_index(["row", "geometry"])
    figure, axes = plt.subplots(1, len(panels), figsize=(11, 1.2 + 0.42 * len(rows)), sharey=True)
    for axis, panel in zip(axes, panels, strict=True):
        column = next(quantity.column for quantity in QUALITY if quantity.name == panel)
        for line, row in enumerate(rows):
            for variant in row.variants:
                _bar(axis, line, row, variant, table.loc[(row.name, variant)], column)
        if (rows[0].name, "raw") in table.index:
            axis.axvline(table.loc[(rows[0].name, "raw"), column], color="black", lw=0.8, ls="--", zorder=0)
        axis.set(title=header(column).split(" (")[0], xlabel=of, xlim=(0, 112))
        axis.set_xticks([0, 25, 50, 75, 100])
    axes[0].set_yticks(range(len(rows)), [row.name for row in rows])
    axes[0].invert_yaxis()
    handles = [
        Patch(facecolor="#555555", label="raw"),
        Patch(facecolor="#55555555", hatch="////", label="after MMFF94"),
    ]
    figure.legend(handles=handles, loc="outside lower right", ncols=2)
    figure.suptitle(f"{material.benchmark}: {title} (dashed: {rows[0].name}, raw)", x=0.01, ha="left", fontsize=10)
    return figure


def _quality(material: Material) -> pd.DataFrame:
    return quality_table(replace(material, published=None))


def _bar(axis: Axes, line: int, row: TableRow, variant: str, values: pd.Series, column: str) -> None:
    mean, std = values[column], values[f"{column}_std"]
    light = {"alpha": 0.4, "hatch": "////"} if variant != "raw" else {}
    offset = 0.0 if len(row.variants) == 1 else {"raw": -0.2}.get(variant, 0.2)
    if np.isnan(mean):
        axis.text(1, line + offset, "not measured", va="center", fontsize=7, color="#777777")
        return
    axis.barh(line + offset, mean, height=0.36, color=colour(row), edgecolor=colour(row), lw=0.5, **light)
    if np.isfinite(std):
        axis.errorbar(mean, line + offset, xerr=std, color="#555555", lw=1, capsize=2)
    axis.text(
        min(mean + (std if np.isfinite(std) else 0), 100) + 1, line + offset, f"{mean:.1f}", va="center", fontsize=6
    )


def sweep_figure(material: Material) -> plt.Figure:
    """Quality over the last of the varied settings: one line per row and combination of the others; bars: std.

    The rows that are varied stand in as filled marks, with the settings that they have. Where autoencoders were trained
    anew, what they reconstruct stands below.
    """
    rows, table = material.rows, _quality(material).set_index("row")
    *others, swept = rows[0].settings
    quantities = [quantity for name in PANELS for quantity in QUALITY if quantity.name == name]
    if rows[0].autoencoder:
        reconstruction = autoencoder_table(material).set_index("row")
        table = table.join(reconstruction.drop(columns=table.columns, errors="ignore"))
        quantities += [quantity for name in RECONSTRUCTED for quantity in AUTOENCODER if quantity.name == name]
    lines_of_panels = len(quantities) // len(PANELS)
    figure, axes = plt.subplots(lines_of_panels, len(PANELS), figsize=(11, 3 * lines_of_panels))
    lines: dict[tuple[str, ...], list[TableRow]] = {}
    for row in rows:
        lines.setdefault((row.of, *(str(row.settings[key]) for key in others)), []).append(row)
    styles = dict(zip(dict.fromkeys(line[1:] for line in lines), LINE_STYLES * len(lines), strict=False))
    position = {row.name: row for row in rows}
    values = [row.settings[swept] for row in rows]
    wide = max(values) > 8 * min(values) > 0
    for axis, quantity in zip(axes.flat, quantities, strict=True):
        column = quantity.column
        for line, members in lines.items():
            members = sorted(members, key=lambda row: row.settings[swept])
            x, y = [row.settings[swept] for row in members], [table.loc[row.name, column] for row in members]
            error = [table.loc[row.name, f"{column}_std"] for row in members]
            shade, style = colour(position[line[0]]), styles[line[1:]]
            axis.errorbar(x, y, yerr=error, color=shade, ls=style, lw=1, capsize=2, label=", ".join(line))
            own = [row.name in line for row in members]
            axis.scatter(x, y, s=16, color=[shade if mark else "white" for mark in own], edgecolor=shade, zorder=3)
        axis.set(title=header(column).split(" (")[0], xlabel=swept.split(".")[-1].replace("_", " "))
        if quantity.unit == "pct":
            axis.set_ylim(-2, 102)
        else:
            axis.set_ylim(0, 1.05 * axis.get_ylim()[1])
        if wide:
            axis.set_xscale("log")
    axes.flat[0].set_ylabel("% of requested samples")
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside right upper", fontsize=7)
    title = f"{material.benchmark}: quality over {swept} (filled: the rows of the tables)"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def training_figure(material: Material) -> plt.Figure:
    """Training loss over steps: one panel per row and stage, one line per training seed."""
    panels: dict[tuple[str, str], TableRow] = {}
    for row in material.rows:
        for stage, trained_by in row.stages.items():
            if trained_by == row.name or (trained_by, stage) not in panels:
                panels[trained_by, stage] = row
    if not panels:
        raise UserError(f"No row of {material.benchmark} has a trained stage, so there is no training figure to draw.")
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(3.6 * columns, 2.6 * lines), squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, ((_, stage), row) in zip(axes.flat, panels.items(), strict=False):
        axis.set(title=f"{row.name}: {stage}", xlabel="step", ylabel="loss")
        for number, (seed, file) in enumerate(
            zip(row.train_seeds, material.of_stage(row, stage, ".log.csv"), strict=True)
        ):
            log = pd.read_csv(file)
            style = LINE_STYLES[number % len(LINE_STYLES)]
            axis.plot(
                log["step"],
                log["loss"],
                color=colour(row),
                ls=style,
                lw=1,
                marker="." if len(log) < 20 else None,
                label=f"seed {seed}",
            )
            if (log["loss"] > 0).all():
                axis.set_yscale("log")
        if len(row.train_seeds) > 1:
            axis.legend(fontsize=7)
    figure.suptitle(f"{material.benchmark}: training", x=0.01, ha="left", fontsize=10)
    return figure
