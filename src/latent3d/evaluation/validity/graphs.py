"""Validity of the graphs that samples come with: sanitised, connected, strictly valid."""

import numpy as np
import pandas as pd

from latent3d.data.molecules.molecules import Molecules
from latent3d.evaluation.context import Context
from latent3d.evaluation.measures import Measures


def measure(samples: Molecules, requests: pd.DataFrame, context: Context, out: Measures) -> pd.DataFrame:
    """V, V&C and strict validity. A sample that is not strictly valid has failed, for the reason of that verdict."""
    table, n = context.population().table, len(samples)
    out.counts["bonds_perceived"] = int(table["bonds_perceived"].sum())
    out.rate("graph_validity", table["graph_valid"].sum(), n)
    out.rate("valid_connected", (table["graph_valid"] & table["connected"]).sum(), n)
    out.rate("strict_validity", (table["strict"] == "ok").sum(), n)
    out.stage(table["strict"])
    bonds = np.where(table["bonds_perceived"], "perceived", "given")
    return table.assign(bonds=bonds)[["bonds", "strict", "graph_valid", "connected"]]
