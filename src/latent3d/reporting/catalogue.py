"""What tables and figures there are."""

from typing import Literal

Geometry = Literal["raw", "mmff"]
TABLES = ("quality", "distribution", "energy", "autoencoder", "cost")
"""results/table_{name}_{dataset}.csv, of quality table_{dataset}.csv"""


FIGURES = (
    *("quality", "energy", "relaxation", "properties", "cost_quality"),
    *("samples", "interpolation", "reconstruction", "training"),
)
"""results/fig_{name}_{dataset}.svg; sweeps and comparisons have figures of their own names"""
