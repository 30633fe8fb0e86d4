"""Settings of latent3d.

Sized for a quarter of an hour of training on an H200-class GPU with bf16-mixed and files of at most 16 MB in half
precision; not measured on a GPU yet (benchmarks/gpu.md).
"""

from typing import Literal

from latent3d.base.settings import Count, Flag, Natural, Number, Share
from latent3d.diffusion import settings as diffusion
from latent3d.nets.settings import Attention, SelfSupervised
from latent3d.training.settings import FixedClipping, SlotDiffusionSettings


class Training(FixedClipping):
    """As every stage is trained."""

    batch_size: Count = 1024
    learning_rate: Number = 0.001
    weight_decay: Number = 0.01
    beta_2: Share = 0.99
    amsgrad: Flag = False
    warmup: Natural = 500
    decay: Literal["linear", "constant"] = "linear"
    clip: Number = 1.0
    ema: Share = 0.999


class Topology(Training, Attention, SelfSupervised):
    """The topological autoencoder."""

    atom_latent: Count = 8  # width of z_2d per heavy atom of the largest molecule
    width: Count = 224
    layers: Count = 6
    heads: Count = 8
    beta: Number = 0.01  # weight of the KL term (loss in nats per molecule)
    steps: Count = 12_000


class Geometry(Training, Attention, SelfSupervised):
    """The geometric autoencoder."""

    atom_latent: Count = 4  # width of z_3d per heavy atom of the largest molecule
    width: Count = 192
    layers: Count = 8
    heads: Count = 8
    beta: Number = 0.001  # weight of the KL term (loss in angstrom)
    spring_steps: Count = 8  # unrolled in training
    spring_steps_inference: Count = 60
    steps: Count = 15_000


class Diffusion2D(Training, SlotDiffusionSettings):
    """The prior of z_2d."""

    network: Literal["mlp", "transformer"] = "mlp"
    width: Count = 512
    blocks: Count = 4
    heads: Count = 8
    steps: Count = 15_000
    batch_size: Count = 2048


class Diffusion3D(Diffusion2D):
    """The prior of z_3d given z_2d of the graph."""

    network: Literal["mlp", "transformer"] = "transformer"
    width: Count = 192
    blocks: Count = 10


# Weaker networks for the same latents, from whose mistakes sampling is led away (autoguidance).


class Guide2D(Diffusion2D):
    """The guide of z_2d."""

    width: Count = 192
    blocks: Count = 2
    steps: Count = 1500


class Guide3D(Diffusion3D):
    """The guide of z_3d."""

    width: Count = 64
    blocks: Count = 3
    steps: Count = 1000


class Sampling(diffusion.Sampling):
    """The cascade."""

    sampler: Literal["ddim", "ddpm", "dpmpp"] = "dpmpp"
    steps: Count = 25  # network evaluations per sample, of each diffusion
    guidance_2d: Number = 3.0  # weight of autoguidance; 1: none
    guidance_3d: Number = 3.0
    decodings: Count = 3  # the first of z_3d, each further one of the latents of the conformer before


SETTINGS = {
    "topology": Topology,
    "geometry": Geometry,
    "diffusion_2d": Diffusion2D,
    "diffusion_3d": Diffusion3D,
    "guide_2d": Guide2D,
    "guide_3d": Guide3D,
    "sampling": Sampling,
}
