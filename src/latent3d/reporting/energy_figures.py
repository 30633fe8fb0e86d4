"""Figures of energies: distributions of energies per atom, and of the energy that relaxation takes."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from latent3d.base.layout import ENERGIES
from latent3d.calculations.energies_file import read_energies
from latent3d.data.molecules.units import KCAL_PER_HARTREE
from latent3d.reporting.material import Material
from latent3d.reporting.rows import TableRow
from latent3d.reporting.style import LINE_STYLES, colour

_LEAST, _MOST = 0.05, 2e4
"""Relaxation energies that the axis shows, kcal/mol: little beside a hydrogen bond, to all bonds of a molecule."""


def energy_figure(material: Material) -> plt.Figure:
    """GFN2 energy per atom, one ridge per row: raw filled, after MMFF94 as a line. The axis spans the first row's data.

    Energies outside the axis and samples without an energy are counted at the right, so that nothing disappears.
    """
    rows = material.rows
    energies = {(row.name, variant): table for row, variant, table in _energies(material)}
    reference = _per_atom(energies[rows[0].name, rows[0].variants[0]])
    low, high = np.quantile(reference, [0.002, 0.998]) if len(reference) else (-1.0, 0.0)
    margin = 0.15 * (high - low) + 1e-9
    edges = np.linspace(low - margin, high + margin, 61)
    figure, axes = plt.subplots(len(rows), 1, figsize=(9, 0.9 + 0.7 * len(rows)), sharex=True, squeeze=False)
    for axis, row in zip(axes[:, 0], rows, strict=True):
        notes = []
        for variant in row.variants:
            points = energies[row.name, variant]
            values = _per_atom(points)
            # Shares of all requested samples, not a density of the survivors.
            requested = max(len(points), 1)
            height = np.histogram(values, edges)[0] / requested
            fill = {"fill": True, "alpha": 0.45, "lw": 0} if variant == "raw" else {"lw": 1.2}
            axis.stairs(height, edges, color=colour(row), **fill)
            outside = ((values < edges[0]) | (values > edges[-1])).sum() / requested
            failed = (len(points) - len(values)) / requested
            notes.append(f"{variant}: {100 * outside:.1f} % outside, {100 * failed:.1f} % failed")
        axis.text(1.01, 0.5, "\n".join(notes), transform=axis.transAxes, fontsize=7, va="center")
        axis.set_ylabel(row.name, rotation=0, ha="right", va="center")
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
    axes[-1, 0].set_xlabel("GFN2-xTB energy per atom (kcal/mol)")
    title = f"{material.benchmark}: share of samples by energy (filled: raw, line: after MMFF94)"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def relaxation_figure(material: Material) -> plt.Figure:
    """Share of samples that lose at most so much energy when they relax, one line per row; raw, and after MMFF94.

    Of all samples that were to relax: a line ends below 100 % by the share that failed, and crosses 50 % at the median
    of the table. Energies beyond the axis stand at its ends.
    """
    rows = material.rows
    figure, axes = plt.subplots(1, 2, figsize=(9, max(3.4, 0.5 * len(rows))), sharex=True, sharey=True)
    panels = dict(zip(("raw", "mmff"), axes, strict=True))
    failed: dict[str, list[str]] = {row.name: [] for row in rows}
    for row, variant, table in _energies(material):
        asked = table[table["relax_status"].notna()]
        if len(asked) and variant in panels:
            share = _draw_cumulative(panels[variant], row, asked)
            failed[row.name].append(f"{variant}: {100 - share:.1f} % failed")
    for axis, title in zip(axes, ("raw", "after MMFF94"), strict=True):
        axis.axhline(50, color="#999999", lw=0.6, ls=":", zorder=0)
        axis.set(title=title, xscale="log", xlim=(_LEAST / 1.5, _MOST * 1.5), ylim=(0, 101))
        axis.set_xlabel("energy lost in relaxation (kcal/mol)")
        axis.set_xticks(10.0 ** np.arange(-1, 5), ["0.1", "1", "10", "100", "1000", "10\u2009000"])
        if not axis.has_data():
            axis.text(0.5, 0.6, "not measured", transform=axis.transAxes, ha="center", color="#777777")
    axes[0].set_ylabel("% of samples that were to relax")
    handles = [
        Line2D([], [], color=colour(row), ls=_style(row), label="\n".join([row.name, *failed[row.name]]))
        for row in rows
        if failed[row.name]
    ]
    figure.legend(handles=handles, loc="outside right center", fontsize=7)
    title = f"{material.benchmark}: energy that samples lose in GFN2-xTB relaxation"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _draw_cumulative(axis: Axes, row: TableRow, asked: pd.DataFrame) -> float:
    """One line; returns where it ends, percent."""
    relaxed = asked[(asked["relax_status"] == "ok") & (asked["graph_survived"] == True)]  # noqa: E712 (or null)
    values = np.sort(relaxed["relaxation_energy"].to_numpy(float).clip(_LEAST, _MOST))
    share = 100 * np.arange(len(values) + 1) / len(asked)
    # From below the least to beyond the most, so that lines that rise there can be seen.
    axis.step(
        np.concatenate([[_LEAST / 1.5], values, [_MOST * 1.5]]),
        np.concatenate([share, share[-1:]]),
        where="post",
        color=colour(row),
        ls=_style(row),
        lw=1.2,
    )
    return float(share[-1])


def _style(row: TableRow) -> str:
    """Beside the colour, so that lines can be told apart in grey."""
    return LINE_STYLES[row.position % len(LINE_STYLES)]


def _energies(material: Material) -> Iterator[tuple[TableRow, str, pd.DataFrame]]:
    """Row, variant, and energies of all its samples."""
    for row in material.rows:
        for variant in row.variants:
            files = material.of_samples(row, variant, ENERGIES)
            yield row, variant, pd.concat([read_energies(file) for file in files])


def _per_atom(points: pd.DataFrame) -> np.ndarray:
    known = points.loc[points["status"] == "ok", "energy_per_atom"].dropna()
    return known.to_numpy(float) * KCAL_PER_HARTREE
