"""The table and the figure of the task."""

import matplotlib.pyplot as plt
import pandas as pd

from latent3d.base.layout import LEDGER, MEASURES


def sized_table(material):
    """One line per row."""
    lines = []
    for row in material.rows:
        files = [
            material.layout.of_samples(material.benchmark, row.name, seed, "raw", MEASURES) for seed in row.train_seeds
        ]
        measures = pd.concat([pd.read_parquet(file) for file in files])
        means = measures.groupby("quantity")["value"].mean()
        lines.append({"row": row.name, "size_hit": means["size_hit"], "judge_error": means["judge_error"]})
    return pd.DataFrame(lines)


def sizes_figure(material):
    """Asked against got."""
    figure, axis = plt.subplots()
    for row in material.rows:
        ledger = pd.read_csv(material.layout.of_samples(material.benchmark, row.name, 0, "raw", LEDGER))
        axis.plot(ledger["asked"], ledger["heavy_atoms"], ".", label=row.name)
    axis.set(xlabel="asked", ylabel="heavy atoms")
    axis.legend()
    return figure
