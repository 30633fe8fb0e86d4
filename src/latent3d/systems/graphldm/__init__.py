"""GraphLDM: GeoLDM with networks that are not equivariant (Xu et al. 2023, table 1). See README.md."""

from functools import partial

from latent3d.nets.egnn import GNN
from latent3d.systems.geoldm import fitting, sampling
from latent3d.systems.geoldm.codec import PointCodec

fit = partial(fitting.fit, GNN)
generator = partial(sampling.generator, GNN)
codec = partial(PointCodec, GNN)

__all__ = ["codec", "fit", "generator"]
