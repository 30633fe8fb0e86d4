"""Sampling: noise -> points with features -> molecules."""

from functools import partial
from pathlib import Path
from typing import Any

import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecules
from latent3d.diffusion.point_sampling import sample_points
from latent3d.diffusion.points import readout
from latent3d.graphs.point_clouds import PointCloudBatch
from latent3d.nets.egnn import Backbone
from latent3d.systems import Draw
from latent3d.systems.geoldm.models import load_autoencoder, load_denoiser


def sampler(
    backbone: Backbone,
    weights: dict[str, Path],
    data: Molecules | None,
    hyperparameters: dict[str, Any],
    run: Run,
    source: Path | None,
) -> Draw:
    """Noise to codes to positions and elements; bonds are for whoever needs them to perceive. `data` is not used."""
    autoencoder = load_autoencoder(backbone, weights["autoencoder"], run.device)
    denoiser, sizes = load_denoiser(backbone, weights["diffusion"], run.device)
    last_element = autoencoder.charges or hyperparameters["last_element"] == "kept"

    def read(z0: torch.Tensor, noise: torch.Tensor, mask: torch.Tensor) -> PointCloudBatch:
        return autoencoder.read(readout(denoiser, z0, noise, mask), mask, last_element)

    return partial(sample_points, denoiser, read, autoencoder.latent, sizes, hyperparameters, run.device)
