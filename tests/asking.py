"""Requests as a benchmark writes them."""

from collections.abc import Iterable

import pandas as pd


def asked(indices: Iterable[int], seed: int = 0) -> pd.DataFrame:
    """Requests of sample indices under a sampling seed."""
    return pd.DataFrame({"seed": seed, "sample_index": list(indices)})
