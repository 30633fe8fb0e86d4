"""Sizes of test molecules, drawn for every seed."""

import numpy as np
import pandas as pd


def requests(data, settings, count, seeds):
    """One number of heavy atoms per request."""
    test = data.split("test")
    heavy = np.array([(molecule.atomic_numbers > 1).sum() for molecule in test])
    heavy = heavy[heavy <= settings["largest"]]
    parts = [
        pd.DataFrame(
            {
                "seed": seed,
                "sample_index": np.arange(count),
                "heavy_atoms": np.random.default_rng(seed).choice(heavy, count),
            }
        )
        for seed in seeds
    ]
    return pd.concat(parts, ignore_index=True)
