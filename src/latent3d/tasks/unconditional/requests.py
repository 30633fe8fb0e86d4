"""Requests of unconditional generation: nothing but a number."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


def requests(data: object, settings: Mapping[str, Any], count: int, seeds: list[int]) -> pd.DataFrame:
    """`count` samples under every seed. `data` and `settings` are not needed."""
    return pd.DataFrame(
        {"seed": np.repeat(np.array(seeds, np.int64), count), "sample_index": np.tile(np.arange(count), len(seeds))}
    )
