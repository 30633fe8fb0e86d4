"""Settings of GDM: those of EDM, and whether molecules are turned."""

from latent3d.systems.edm import settings as edm


class Diffusion(edm.Diffusion, edm.Augmented):
    """The denoiser."""


SETTINGS = {**edm.SETTINGS, "diffusion": Diffusion}
