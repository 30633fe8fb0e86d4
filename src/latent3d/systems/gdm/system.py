"""EDM with a network that is not equivariant."""

from functools import partial

from latent3d.nets.egnn import GNN
from latent3d.systems.edm.system import fit_with, generator_with

fit, generator = partial(fit_with, GNN), partial(generator_with, GNN)
