"""Settings of GraphLDM: those of GeoLDM, and whether molecules are turned."""

from latent3d.systems.edm.settings import Augmented
from latent3d.systems.geoldm import settings as geoldm


class Autoencoder(geoldm.Autoencoder, Augmented):
    """The point autoencoder."""


class Diffusion(geoldm.Diffusion, Augmented):
    """The denoiser of points."""


SETTINGS = {**geoldm.SETTINGS, "autoencoder": Autoencoder, "diffusion": Diffusion}
