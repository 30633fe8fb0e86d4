"""Settings of the one-shot autoencoder. Blocks and budget are latent3d's, which explains the values.

Sized as latent3d is, for a quarter of an hour of training on an H200-class GPU; not measured on a GPU.
"""

from typing import Literal

from latent3d.base.settings import Count, Number
from latent3d.diffusion import settings as diffusion
from latent3d.nets.settings import Attention
from latent3d.systems.latent3d.settings import Training
from latent3d.training.settings import LatentDiffusionSettings


class Autoencoder(Training, Attention):
    """The autoencoder of whole molecules."""

    latent: Count = 256  # width of the one latent of a molecule
    width: Count = 224
    layers: Count = 8  # of encoder and decoder
    heads: Count = 8
    beta: Number = 0.01  # weight of the KL term (loss in nats per molecule)
    # of square distances after superposition and errors in local frames and of near distances
    position_weight: Number = 10.0
    steps: Count = 27_000  # as many as of latent3d's two autoencoders


class Diffusion(Training, LatentDiffusionSettings):
    """The prior of z."""

    width: Count = 512
    blocks: Count = 4
    steps: Count = 30_000  # as many as of latent3d's two diffusions
    batch_size: Count = 2048


class Sampling(diffusion.Sampling):
    """Draws of z."""

    sampler: Literal["ddim", "ddpm", "dpmpp"] = "dpmpp"
    steps: Count = 25


SETTINGS = {"autoencoder": Autoencoder, "diffusion": Diffusion, "sampling": Sampling}
