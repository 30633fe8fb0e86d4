"""GDM: EDM with a network that is not equivariant (Hoogeboom et al. 2022, section 5). See README.md."""

from functools import partial

from latent3d.nets.egnn import GNN
from latent3d.systems.edm import fitting, sampling

fit = partial(fitting.fit, GNN)
generator = partial(sampling.generator, GNN)

__all__ = ["fit", "generator"]
