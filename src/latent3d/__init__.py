"""latent3d: a benchmark suite for latent diffusion of 3D molecules."""

from importlib.metadata import version

__version__ = version("latent3d")
