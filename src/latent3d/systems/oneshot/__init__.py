"""One-shot autoencoder: a whole molecule from one vector, no cascade. See README.md."""

from latent3d.systems.oneshot.codec import OneShotCodec as codec
from latent3d.systems.oneshot.fitting import fit
from latent3d.systems.oneshot.sampling import generator

__all__ = ["codec", "fit", "generator"]
