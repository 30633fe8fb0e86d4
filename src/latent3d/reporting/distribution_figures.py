"""Figures of distributions: scalar properties of samples, and errors of reconstruction."""

from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from rdkit import Chem, rdBase

from latent3d.base.errors import UserError
from latent3d.base.files import read_json
from latent3d.evaluation.distribution.descriptors import descriptors
from latent3d.evaluation.registry import DESCRIPTORS
from latent3d.reporting.catalogue import RECONSTRUCTION
from latent3d.reporting.material import Material
from latent3d.reporting.style import LINE_STYLES, colour

SHOWN = 1000
"""Requested samples of each row whose properties are drawn: the first of the first seed."""

_AXES = {"mw": "molecular weight (Da)", "logp": "logP", "tpsa": "TPSA (Å²)", "qed": "QED", "sa": "SA score"}
_LEAST, _MOST = 0.005, 3.0
"""RMSD that the axis shows, angstrom: below any vibration, to another conformer of a large molecule."""


def properties_figure(material: Material) -> plt.Figure:
    """Molecular weight, logP, TPSA, QED and SA of the strictly valid among the first `SHOWN` raw samples of every row.

    Heights are shares of the requested samples, with the outline of the first row (real molecules) over each ridge. At
    the right: how many are valid. The axis spans the first row's values; what lies outside is not drawn.
    """
    drawn = [row for row in material.rows if "raw" in row.variants]
    found = {row.name: _properties(material.first_of_ledger(row, "raw", SHOWN)["smiles"]) for row in drawn}
    reference = found[drawn[0].name]
    size = (11, 0.9 + 0.5 * len(drawn))
    figure, axes = plt.subplots(len(drawn), len(DESCRIPTORS), figsize=size, sharex="col", sharey="col", squeeze=False)
    for column, name in enumerate(DESCRIPTORS):
        known = reference[np.isfinite(reference[:, column]), column]
        low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
        edges = np.linspace(low - 1e-6, high + 1e-6, 31)
        for line, row in enumerate(drawn):
            axis, of_row = axes[line, column], found[row.name]
            share = np.histogram(of_row[:, column], edges)[0] / len(of_row)
            axis.stairs(share, edges, color=colour(row), fill=True, alpha=0.55, lw=0)
            axis.stairs(np.histogram(reference[:, column], edges)[0] / len(reference), edges, color="black", lw=0.6)
            axis.set_yticks([])
            axis.spines["left"].set_visible(False)
        axes[-1, column].set_xlabel(_AXES[name])
    for line, row in enumerate(drawn):
        axes[line, 0].set_ylabel(row.name, rotation=0, ha="right", va="center")
        valid = np.isfinite(found[row.name][:, 0]).sum()
        note = f"{valid} of {len(found[row.name])}"
        axes[line, -1].text(1.03, 0.4, note, transform=axes[line, -1].transAxes, fontsize=7, va="center")
    shown = f"outline: {drawn[0].name}; right: strictly valid of those drawn"
    title = f"{material.benchmark}: properties of raw samples ({shown})"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _properties(smiles: pd.Series) -> np.ndarray:
    """[N, 5] descriptors of samples; NaN for those that are not strictly valid."""
    missing = (np.nan,) * len(DESCRIPTORS)
    return np.array([_descriptors(text) if isinstance(text, str) else missing for text in smiles], float)


@cache
def _descriptors(smiles: str) -> tuple[float, ...]:
    with rdBase.BlockLogs():
        return descriptors(Chem.MolFromSmiles(smiles))


def reconstruction_figure(material: Material) -> plt.Figure:
    """Share of test molecules that an autoencoder reconstructs within an RMSD, given their graphs; one line per row.

    Of all test molecules: a line ends below 100 % by those that could not be encoded or decoded. Dotted: the same with
    the codes of other molecules, what the graph alone gives. Of every training seed.
    """
    drawn = [row for row in material.rows if row.autoencoder]
    if not drawn:
        raise UserError(f"No row of {material.benchmark} has an autoencoder, so there is no reconstruction to draw.")
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharex=True, sharey=True)
    for row in drawn:
        for file in material.trained(row, RECONSTRUCTION):
            measured = read_json(file)
            if "quantiles" not in measured:
                raise UserError(f"{file} is of an older version. Delete it and make it again.")
            exact = 100 * measured["values"]["exact_match_2d"]
            for axis, name in zip(axes, ("rmsd_heavy", "rmsd_all"), strict=True):
                for quantiles, style in ((name, LINE_STYLES[0]), (f"{name}_shuffled", LINE_STYLES[2])):
                    errors = measured["quantiles"][quantiles]
                    if errors is None:
                        continue
                    most = 100 * (measured["n_encoded"] - measured["n_failed_geometry"]) / measured["n"]
                    label = f"{row.name}\n{exact:.1f} % of graphs exact" if quantiles == "rmsd_heavy" else None
                    shares = np.linspace(0, most, len(errors))
                    axis.plot(np.clip(errors, _LEAST, _MOST), shares, color=colour(row), ls=style, lw=1.2, label=label)
    for axis, title in zip(axes, ("heavy atoms", "all atoms"), strict=True):
        axis.axhline(50, color="#999999", lw=0.6, ls=":", zorder=0)
        axis.set(title=title, xscale="log", xlim=(_LEAST, _MOST), ylim=(0, 101), xlabel="RMSD (Å)")
        axis.set_xticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
    axes[0].set_ylabel("% of test molecules")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=7)
    title = f"{material.benchmark}: reconstruction of test molecules (dotted: with the codes of others)"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure
