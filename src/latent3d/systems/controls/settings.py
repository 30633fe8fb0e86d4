"""Settings of the control rows. README.md explains the kinds."""

from typing import Literal

from latent3d.base.settings import Number, Settings


class Sampling(Settings):
    """What stands in for samples."""

    kind: Literal["data", "noise", "cloud", "etkdg", "own"] = "data"
    # kind data: which molecules of the dataset stand in for samples
    split: Literal["train", "valid", "test"] = "test"
    noise: Number = 0.0  # kind noise: standard deviation per coordinate, angstrom
    function: str = ""  # kind own: `module:function` of a task, from requests and context to molecules and status


SETTINGS = {"sampling": Sampling}
