"""latent3d: the leak-free cascade of two autoencoders and a latent diffusion model. See README.md."""

from latent3d.systems.latent3d.fitting import fit
from latent3d.systems.latent3d.interpolation import interpolate
from latent3d.systems.latent3d.reconstruction import reconstruct
from latent3d.systems.latent3d.sampling import generator

__all__ = ["fit", "generator", "interpolate", "reconstruct"]
