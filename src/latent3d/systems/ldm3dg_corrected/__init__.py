"""LDM-3DG's networks and budget without the defects of the released recipe: other defaults, nothing else."""

from latent3d.systems.ldm3dg import codec, fit, generator

__all__ = ["codec", "fit", "generator"]
