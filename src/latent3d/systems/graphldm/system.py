"""GeoLDM with networks that are not equivariant."""

from functools import partial

from latent3d.nets.egnn import GNN
from latent3d.systems.geoldm.system import PointCodec, fit_with, generator_with

fit, generator, codec = partial(fit_with, GNN), partial(generator_with, GNN), partial(PointCodec, GNN)
