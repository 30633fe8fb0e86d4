"""Figure of quality against what the training cost."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from latent3d.base.errors import UserError
from latent3d.evaluation.quantity import header
from latent3d.evaluation.registry import QUALITY
from latent3d.reporting.material import Material
from latent3d.reporting.published import PublishedCost, published_costs
from latent3d.reporting.rows import TableRow
from latent3d.reporting.style import colour
from latent3d.reporting.tables import quality_table

PANELS = ("legacy_molecule_stability", "valid_unique_novel")
MARKERS = "osv^DPX"
"""One for each device: times on different devices are no measure of the systems."""

TICKS = {10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 36e3: "10 h", 36e4: "100 h", 36e5: "1000 h"}


def cost_quality_figure(material: Material) -> plt.Figure:
    """Quality of raw samples over the wall time of training, autoencoders included; a mark for each device.

    Bars: standard deviation over seeds. Hollow: published, where time, device and quality under the same protocol are
    known; on the papers' dataset alone. Dashed: the first row, real molecules.
    """
    rows = material.rows
    trained = [row for row in rows if row.stages and "raw" in row.variants]
    if not trained:
        raise UserError(
            f"No row of {material.benchmark} with raw samples has a trained stage, so there is no cost to draw."
        )
    table = quality_table(replace(material, published=None))
    table = table[table["geometry"] == "raw"].set_index("row")
    costs = {row.name: training_cost(material, row) for row in trained}
    devices = list(dict.fromkeys(device for _, device in costs.values()))
    marks = {device: MARKERS[number % len(MARKERS)] for number, device in enumerate(devices)}
    shown = material.published is not None and any(row.published for row in rows)
    others = published_costs(material.published) if shown else []
    size = (10, 1.4 + 0.2 * max(12, len(trained) + len(devices)))
    figure, axes = plt.subplots(1, len(PANELS), figsize=size, sharex=True, sharey=True)
    places: dict[Axes, list[tuple[float, float]]] = {axis: [] for axis in axes}
    for axis, panel in zip(axes, PANELS, strict=True):
        column = next(quantity.column for quantity in QUALITY if quantity.name == panel)
        for row in trained:
            (seconds, device), value = costs[row.name], table.loc[row.name, column]
            spread = table.loc[row.name, f"{column}_std"]
            error = spread if np.isfinite(spread) else None
            mark = {"color": colour(row), "marker": marks[device], "mec": "black", "mew": 0.5}
            axis.errorbar(seconds, value, yerr=error, capsize=2, lw=1, **mark)
            places[axis].append((seconds, value))
        _draw_published(axis, [point for point in others if column in point.values], column)
        if rows[0].name in table.index:
            axis.axhline(table.loc[rows[0].name, column], color="black", lw=0.8, ls="--", zorder=0)
        axis.set(title=header(column).split(" (")[0], ylim=(-4, 104), xlabel="wall time of training, all stages")
    _time_axis(axes[0])
    for axis in axes:
        _number(axis, places[axis])
    axes[0].set_ylabel("% of requested samples")
    figure.legend(handles=_legend(trained, costs, marks, others), loc="outside right upper", fontsize=7)
    title = f"{material.benchmark}: quality of raw samples over the cost of training (dashed: {rows[0].name})"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def training_cost(material: Material, row: TableRow) -> tuple[float, str]:
    """Wall time of all stages, s (mean over training seeds), and the device or devices they ran on."""
    trainings = [training.values() for training in material.stage_runs(row)]
    seconds = np.mean([sum(run["seconds"] for run in runs) for runs in trainings])
    devices = sorted({run.get("device") or "unknown device" for runs in trainings for run in runs})
    return float(seconds), "\nand ".join(devices)


def _number(axis: Axes, places: list[tuple[float, float]]) -> None:
    """The number of each row's line in the legend, above its mark; of marks that lie close, one above the other."""
    low, high = axis.get_xlim()
    close = 0.03 * np.log(high / low)
    for number, (seconds, value) in enumerate(places, start=1):
        before = [abs(np.log(seconds / x)) < close and abs(value - y) < 5 for x, y in places[: number - 1]]
        axis.annotate(
            str(number), (seconds, value), (0, 6 + 8 * sum(before)), textcoords="offset points", ha="center", fontsize=7
        )


def _draw_published(axis: Axes, points: list[PublishedCost], column: str) -> None:
    for point in points:
        axis.plot(point.seconds, point.values[column], "D", mfc="none", mec="#555555", ms=6)
        bound = "at most; " if point.upper_bound else ""
        note = f"{point.system}\n{bound}{point.device}\n{point.status.replace('_', ' ')}"
        axis.annotate(
            note, (point.seconds, point.values[column]), (-6, -8), textcoords="offset points", fontsize=6, ha="right"
        )


def _time_axis(axis: Axes) -> None:
    axis.set_xscale("log")
    low, high = axis.get_xlim()
    low, high = low / 1.3, high * 1.5
    inside = {at: name for at, name in TICKS.items() if low <= at <= high}
    axis.set_xticks(list(inside), list(inside.values()))
    axis.set_xlim(low, high)
    axis.minorticks_off()


def _legend(
    rows: list[TableRow], costs: dict[str, tuple[float, str]], marks: dict[str, str], others: list[PublishedCost]
) -> list[Line2D]:
    """Rows by number and colour, then devices by mark, then the published points."""
    entries = [(f"{n}: {row.name}", marks[costs[row.name][1]], colour(row)) for n, row in enumerate(rows, start=1)]
    entries += [(device, mark, "white") for device, mark in marks.items()]
    entries += [("published", "D", "white")] if others else []
    return [
        Line2D([], [], ls="", marker=mark, color=shade, mec="black", mew=0.5, label=label)
        for label, mark, shade in entries
    ]
