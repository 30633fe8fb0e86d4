"""Networks of weights files, ready for inference."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from latent3d.diffusion.latent_diffusion import LatentDiffusion, LatentPrior
from latent3d.systems import system_settings
from latent3d.training.latents import latent_diffusion
from latent3d.training.weights import Network, for_inference, read_weights

Metadata = dict[str, Any]


def load_network(path: Path, device: str, build: Callable[[Any, Metadata], Network]) -> tuple[Network, Metadata]:
    """The network of a weights file on a device, and what else the file says.

    Args:
        path: of the weights.
        device: `cpu` or `cuda`.
        build: makes an untrained network of the stage's settings and the metadata.
    """
    weights, metadata = read_weights(path)
    settings = system_settings(metadata["system"])[metadata["stage"]].model_validate(metadata["hyperparameters"])
    return for_inference(build(settings, metadata), weights, device), metadata


def load_prior(path: Path, device: str) -> LatentPrior:
    """The latent diffusion model of a weights file."""

    def build(settings: Any, metadata: Metadata) -> LatentDiffusion:
        return latent_diffusion(metadata["dimension"], metadata["condition"], metadata["slots"], settings)

    return load_network(path, device, build)[0].prior()
