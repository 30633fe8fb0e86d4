"""Settings of stages that gradient descent trains: the optimiser's, which every stage has, and those of latent priors.

What has no value here gets it in the systems' settings.
"""

from typing import Literal

from latent3d.base.settings import Count, Flag, Natural, Number, Settings, Share
from latent3d.nets.settings import Attention


class Optimizer(Settings):
    """AdamW, its learning rate, and the average of weights (loop.py, optimizer.py)."""

    steps: Count
    batch_size: Count
    learning_rate: Number  # its peak
    weight_decay: Number  # 0: Adam
    beta_2: Share
    amsgrad: Flag
    warmup: Natural  # steps of linear increase of the learning rate
    decay: Literal["linear", "constant"]  # of the learning rate, after the warm-up
    ema: Share  # decay of the moving average; 0: the last weights


class FixedClipping(Optimizer):
    """Gradients are scaled down to a given norm."""

    clip: Number


class RecentClipping(Optimizer):
    """Gradients are scaled down to what is usual (Hoogeboom et al. 2022, released code)."""

    clip_window: Count  # gradients up to 1.5 mean + 2 std of so many recent norms


Clipped = FixedClipping | RecentClipping
"""What a stage's settings are, whatever limits its gradients."""


class StepDecay(Optimizer):
    """A learning rate that may fall in steps."""

    decay: Literal["linear", "constant", "steps"]  # steps: by `decay_factor` ...
    decay_factor: Number
    decay_every: Count  # ... every so many steps


class LatentDiffusionSettings(FixedClipping):
    """A diffusion of latents by a residual MLP (latents.py)."""

    network: Literal["mlp"] = "mlp"
    width: Count
    blocks: Count
    objective: Literal["eps", "x0", "v"] = "v"
    schedule: Literal["cosine", "linear"] = "cosine"


class SlotDiffusionSettings(LatentDiffusionSettings, Attention):
    """The same, or by a transformer over the slots of the latents."""

    network: Literal["mlp", "transformer"]
    heads: Count  # of a transformer

    def attends(self) -> bool:
        """Only a transformer does."""
        return self.network == "transformer"
