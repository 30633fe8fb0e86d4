"""LDM-3DG as released (You et al., ICLR 2024): a cascade whose geometric decoder reads coordinates. See README.md."""

from latent3d.systems.ldm3dg.fitting import fit
from latent3d.systems.ldm3dg.reconstruction import reconstruct
from latent3d.systems.ldm3dg.sampling import generator

__all__ = ["fit", "generator", "reconstruct"]
