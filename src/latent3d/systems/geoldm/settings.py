"""Settings of GeoLDM. Values: Xu et al. 2023, appendix, and the released commands."""

from typing import Literal

from latent3d.base.settings import Count, Flag, Natural, Number
from latent3d.systems.edm import settings as edm


class Autoencoder(edm.PointTraining):
    """The point autoencoder."""

    width: Count = 256
    encoder_layers: Count = 1
    decoder_layers: Count = 9
    latent: Count = 1  # invariant features per atom; the released checkpoints have 2
    message_norm: Count = 1  # sums of messages are divided by it
    charges: Flag = True  # atomic numbers as one more feature
    encoder_steps: Natural = 0  # steps in which the encoder learns; 0: it stays as it was drawn, as released
    kl_weight: Number = 0.0  # 0, as released; the paper's KL-reg is 0.01


class Diffusion(edm.PointTraining):
    """The denoiser of points."""

    width: Count = 256
    layers: Count = 9
    message_norm: Count = 1


class Sampling(edm.Sampling):
    """The chain, and the choice of elements."""

    # lost: as released, models without charges never emit the last element (fluorine on QM9)
    last_element: Literal["kept", "lost"] = "kept"


SETTINGS = {"autoencoder": Autoencoder, "diffusion": Diffusion, "sampling": Sampling}
