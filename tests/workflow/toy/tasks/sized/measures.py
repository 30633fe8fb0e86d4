"""Whether samples have the size that was asked for, counted and as the judge says."""

import numpy as np
import pandas as pd


def measure(samples, requests, context, out):
    """Rate of hits over all requests, and the judge's mean error."""
    heavy = np.array([(molecule.atomic_numbers > 1).sum() for molecule in samples])
    hit = heavy == requests["heavy_atoms"].to_numpy()
    out.rate("size_hit", hit.sum(), len(requests))
    judged = context.judged["counter.heavy_atoms"].to_numpy()
    known = heavy > 0
    out.mean("judge_error", np.abs(judged - heavy)[known])
    return pd.DataFrame({"heavy_atoms": heavy, "asked": requests["heavy_atoms"].to_numpy()})
