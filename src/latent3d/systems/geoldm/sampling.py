"""Sampling: noise -> points with features -> molecules."""

from functools import partial
from typing import Any

import torch

from latent3d.base.run import Run
from latent3d.diffusion.point_sampling import sample_points
from latent3d.diffusion.points import PointCondition, decode_z0
from latent3d.graphs.point_clouds import PointCloudBatch
from latent3d.nets.egnn import Backbone
from latent3d.systems import Context, Generate, Parts
from latent3d.systems.chunks import in_chunks
from latent3d.systems.geoldm.models import load_autoencoder, load_denoiser


def generator(
    backbone: Backbone,
    parts: Parts,
    settings: dict[str, Any],
    context: Context,
    run: Run,
) -> Generate:
    """Noise to latents to positions and elements; bonds are for whoever needs them to perceive. `context`: not used."""
    autoencoder = load_autoencoder(backbone, parts["autoencoder"], run.device)
    denoiser, sizes = load_denoiser(backbone, parts["diffusion"], run.device)
    last_element = autoencoder.charges or settings["last_element"] == "kept"

    def decode(z0: torch.Tensor, noise: torch.Tensor, condition: PointCondition) -> PointCloudBatch:
        return autoencoder.decode_clouds(decode_z0(denoiser, z0, noise, condition), condition.mask, last_element)

    return in_chunks(partial(sample_points, denoiser, decode, autoencoder.latent, sizes, settings), run.device)
