"""Images of one size each set."""

import numpy as np

from latent3d.data.records import Field, Records, Schema


class Images(Records):
    """M images. Columns: `id`, `split`, labels as exact floats (of a pendulum: angle, light, shadow length, ...)."""

    schema = Schema(
        "images",
        (Field("pixels", np.uint8, shape=(None, None, None)),),  # height x width x channel
    )
