"""Settings of LDM-3DG. Values: You et al. 2024 and its released commands, defects included.

`ldm3dg_corrected` has the same networks without the defects. Epochs are of 100,000 molecules, as QM9 has for training.
"""

from typing import Literal

from pydantic import field_validator

from latent3d.base.settings import Count, Flag, Natural, Number, Share, refused
from latent3d.diffusion import settings as diffusion
from latent3d.nets.settings import SelfSupervised
from latent3d.training.settings import FixedClipping, StepDecay

TIMES = 500
"""Steps of the chain of diffusion."""


class Training(FixedClipping):
    """As every stage is trained."""

    weight_decay: Number = 0.0
    beta_2: Share = 0.999
    amsgrad: Flag = False
    warmup: Natural = 0
    decay: Literal["linear", "constant"] = "constant"
    clip: Number = 5.0
    ema: Share = 0.0  # released: the weights of the best validation


class Topology(Training, StepDecay, SelfSupervised):
    """HierVAE (Jin et al. 2020), the released arguments' defaults.

    Self-supervision: `global_local` is the paper's; `two_view` is of root latents, `masked_attributes` of the network
    that reads atoms.
    """

    hidden: Count = 250  # width of the network, and of the root vector that is diffused
    embed: Count = 250
    latent: Count = 32  # what decoding reads: a linear map of the root vector
    depth_tree: Count = 15
    depth_graph: Count = 15
    beta_from: Natural = 10_000  # steps without a KL term ...
    beta_every: Count = 2000  # ... after which every so many steps ...
    beta_step: Number = 0.001  # ... add this to its weight ...
    beta_max: Number = 1.0  # ... up to this
    steps: Count = 62_500  # 20 epochs
    batch_size: Count = 32
    learning_rate: Number = 0.001
    decay: Literal["linear", "constant", "steps"] = "steps"
    decay_factor: Number = 0.9
    decay_every: Count = 25_000


class Geometry(Training, SelfSupervised):
    """The geometric autoencoder. Self-supervision is of z_3d and atoms."""

    branch: Literal["posterior", "prior"] = "posterior"  # reads coordinates (released); prior: graph and z_3d alone
    code: Count = 250  # width of z_3d
    encoder_width: Count = 256
    encoder_layers: Count = 4
    width: Count = 1024  # of the decoder's states and hidden layers
    rounds: Count = 4  # of message passing in each stack
    drop: Share = 0.1  # of updates of edges and atoms, and of hidden units
    collapse_weight: Number = 0.1  # of mean_i log sum_j exp cos(z_i, z_j), against collapse of the latents
    steps: Count = 125_000  # 20 epochs
    batch_size: Count = 16
    learning_rate: Number = 0.00005


class Diffusion(Training):
    """The prior of both latents."""

    # raw: 250-d root and 250-d z_3d as they are; standard: 32-d mean standardised, z_3d whitened
    codes: Literal["raw", "standard"] = "raw"
    width: Count = 2048
    layers: Count = 33  # of each of the two stacks: 280.0 M parameters as published (with the paper's 32: 271.6 M)
    objective: Literal["eps", "x0", "v"] = "eps"
    # The last alpha_bar of linear_500 is 0.00635; of linear_500_zero 0 (which eps cannot learn from: v or x0).
    schedule: Literal["linear_500", "linear_500_zero"] = "linear_500"
    steps: Count = 1_950_000  # 10,000 epochs
    batch_size: Count = 512
    learning_rate: Number = 0.00001


class ChainSampling(diffusion.Sampling):
    """The chain."""

    sampler: Literal["ddpm", "ddim"] = "ddpm"  # ddpm: ancestral, over all 500 steps
    steps: Count = TIMES  # fewer stride over the chain

    @field_validator("steps")
    @classmethod
    def _steps_divide_the_chain(cls, steps: int) -> int:
        if TIMES % steps:
            raise refused(
                f"does not divide the {TIMES} times of LDM-3DG's diffusion. Choose 500, 250, 100, 50, 25 or 10"
            )
        return steps


class Sampling(ChainSampling):
    """The chain, and what the decoder reads."""

    start: Literal["etkdg", "layout"] = "etkdg"  # coordinates of branch posterior: ETKDG, or RDKit's plane drawing


SETTINGS = {"topology": Topology, "geometry": Geometry, "diffusion": Diffusion, "sampling": Sampling}
