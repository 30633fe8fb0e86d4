"""LDM-3DG as released (You et al., ICLR 2024): a cascade whose geometric decoder reads coordinates. See README.md."""

from latent3d.systems.ldm3dg.codec import MotifCodec as codec
from latent3d.systems.ldm3dg.fitting import fit
from latent3d.systems.ldm3dg.sampling import generator

__all__ = ["codec", "fit", "generator"]
