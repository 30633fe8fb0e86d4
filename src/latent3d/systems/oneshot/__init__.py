"""One-shot autoencoder: a whole molecule from one vector, no cascade. See README.md."""

from latent3d.systems.oneshot.fitting import fit
from latent3d.systems.oneshot.reconstruction import reconstruct
from latent3d.systems.oneshot.sampling import generator

__all__ = ["fit", "generator", "reconstruct"]
