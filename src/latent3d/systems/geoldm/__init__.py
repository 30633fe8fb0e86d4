"""GeoLDM: diffusion over points with invariant and equivariant parts (Xu et al. 2023). See README.md."""

from functools import partial

from latent3d.nets.egnn import EGNN
from latent3d.systems.geoldm import fitting, sampling
from latent3d.systems.geoldm.codec import PointCodec

fit = partial(fitting.fit, EGNN)
generator = partial(sampling.generator, EGNN)
codec = partial(PointCodec, EGNN)

__all__ = ["codec", "fit", "generator"]
