"""EDM: E(3)-equivariant diffusion in atom space (Hoogeboom et al. 2022). See README.md."""

from functools import partial

from latent3d.nets.egnn import EGNN
from latent3d.systems.edm import fitting, sampling

fit = partial(fitting.fit, EGNN)
generator = partial(sampling.generator, EGNN)

__all__ = ["fit", "generator"]
