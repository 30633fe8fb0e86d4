"""GraphLDM: GeoLDM with networks that are not equivariant (Xu et al. 2023, table 1). See README.md."""

from functools import partial

from latent3d.nets.egnn import GNN
from latent3d.systems.geoldm import fitting, reconstruction, sampling

fit = partial(fitting.fit, GNN)
generator = partial(sampling.generator, GNN)
reconstruct = partial(reconstruction.reconstruct, GNN)

__all__ = ["fit", "generator", "reconstruct"]
