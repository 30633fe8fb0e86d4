"""Settings of EDM. Values: Hoogeboom et al. 2022, appendix C, and the released commands."""

from typing import Literal

from latent3d.base.settings import Count, Flag, Natural, Number, Settings, Share
from latent3d.diffusion import settings as diffusion
from latent3d.training.settings import RecentClipping


class PointTraining(RecentClipping):
    """As every stage of the point models is trained."""

    steps: Count = 4_690_000  # 3000 epochs of 100,000 molecules
    batch_size: Count = 64
    learning_rate: Number = 0.0001
    weight_decay: Number = 1.0e-12
    beta_2: Share = 0.999
    amsgrad: Flag = True
    warmup: Natural = 0
    decay: Literal["linear", "constant"] = "constant"
    clip_window: Count = 50
    ema: Share = 0.9999


class Augmented(Settings):
    """Of stages whose network is not equivariant."""

    augment: Flag = False  # true: training molecules are randomly turned (GDM-aug, GraphLDM-aug)


def turns(settings: Settings) -> bool:
    """Whether a stage turns training molecules."""
    return isinstance(settings, Augmented) and settings.augment


class Diffusion(PointTraining):
    """The denoiser."""

    width: Count = 256
    layers: Count = 9
    message_norm: Count = 1  # sums of messages are divided by it
    charges: Flag = True  # atomic numbers as one more feature
    type_scale: Count = 4  # one-hot elements are divided by it ...
    charge_scale: Count = 10  # ... and atomic numbers


class Sampling(diffusion.Sampling):
    """The chain."""

    sampler: Literal["ddim", "ddpm"] = "ddpm"  # ddpm: ancestral, over all 1000 steps of the chain as published
    steps: Count = 1000  # fewer stride over the chain


SETTINGS = {"diffusion": Diffusion, "sampling": Sampling}
