"""LDM-3DG with other settings, nothing else."""

from latent3d.systems.ldm3dg.system import codec, fit, generator

__all__ = ["codec", "fit", "generator"]
