"""latent3d: the leak-free cascade of two autoencoders and a latent diffusion model. See README.md."""

from latent3d.systems.latent3d.codec import CascadeCodec as codec
from latent3d.systems.latent3d.fitting import fit
from latent3d.systems.latent3d.sampling import generator

__all__ = ["codec", "fit", "generator"]
