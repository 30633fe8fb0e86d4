"""Settings of LDM-3DG without the defects of the released recipe: what differs from `ldm3dg`."""

from typing import Literal

from latent3d.base.settings import Share
from latent3d.systems.ldm3dg import settings as ldm3dg


class Topology(ldm3dg.Topology):
    """HierVAE."""

    ema: Share = 0.999


class Geometry(ldm3dg.Geometry):
    """The geometric autoencoder, trained to decode from graph and z_3d: no coordinates, the edges are the bonds."""

    branch: Literal["prior"] = "prior"
    ema: Share = 0.999


class Diffusion(ldm3dg.Diffusion):
    """The prior of what decoding reads of z_2d (32-d), and of z_3d, of zero mean and unit covariance."""

    codes: Literal["raw", "standard"] = "standard"
    objective: Literal["eps", "x0", "v"] = "v"  # eps says nothing where the signal-to-noise ratio is zero
    schedule: Literal["linear_500", "linear_500_zero"] = "linear_500_zero"
    ema: Share = 0.9999


SETTINGS = {"topology": Topology, "geometry": Geometry, "diffusion": Diffusion, "sampling": ldm3dg.ChainSampling}
