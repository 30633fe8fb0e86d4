"""Training of diffusion models of latents."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from latent3d.base.errors import UserError
from latent3d.base.run import Run
from latent3d.diffusion.latent_diffusion import LatentDiffusion, LatentPrior
from latent3d.nets.compiling import compile_layers
from latent3d.nets.dit import SlotTransformer
from latent3d.nets.mlp import ResidualMLP
from latent3d.training.loop import Losses, TrainingResult, train
from latent3d.training.weights import for_inference, read_weights


def check_heads(stage: str, h: dict[str, Any]) -> None:
    """Raises UserError where the heads of attention do not divide the width of a stage."""
    if h["width"] % h["heads"]:
        raise UserError(f"{stage}.width ({h['width']}) must be a multiple of {stage}.heads ({h['heads']}).")


def latent_diffusion(stage: str, dimension: int, condition: int, slots: int, h: dict[str, Any]) -> LatentDiffusion:
    """An untrained diffusion model of latents given a condition (their widths, 0 for none), both made of `slots`."""
    if h["network"] == "mlp":
        network = ResidualMLP(dimension, condition, h["width"], h["blocks"])
    else:
        check_heads(stage, h)
        network = SlotTransformer(dimension, condition, slots, h["width"], h["blocks"], h["heads"])
    return LatentDiffusion(network, dimension, condition, h["objective"], h["schedule"])


def load_prior(path: Path, device: str) -> LatentPrior:
    """The latent diffusion model of a weights file, ready for sampling."""
    state, metadata = read_weights(path)
    sizes = metadata["dimension"], metadata["condition"], metadata["slots"]
    model = for_inference(latent_diffusion(metadata["stage"], *sizes, metadata["hyperparameters"]), state, device)
    compile_layers(model.denoiser.network)
    return model.prior()


def fit_latents(
    stage: str,
    latents: torch.Tensor,
    condition: torch.Tensor | None,
    slots: int,
    hyperparameters: dict[str, Any],
    run: Run,
) -> tuple[TrainingResult, dict[str, Any]]:
    """Diffusion of latents [M, K, D], K equally good ones per molecule, given a condition [M, C]; of so many slots."""
    torch.manual_seed(run.seed)
    width = 0 if condition is None else condition.shape[1]
    sizes = {"dimension": latents.shape[-1], "condition": width, "slots": slots}
    model = latent_diffusion(stage, **sizes, h=hyperparameters)
    model.codes.fit(latents.flatten(0, 1).cpu())
    if condition is not None:
        model.given.fit(condition.cpu())
    model.to(run.device)
    compile_layers(model.denoiser.network)

    def loss(model: torch.nn.Module, rows: torch.Tensor, generator: torch.Generator, _: int) -> Losses:
        which = torch.randint(latents.shape[1], rows.shape, generator=generator)
        rows = rows.to(run.device)
        batch = latents[rows, which.to(run.device)]
        return model(batch, None if condition is None else condition[rows], generator)

    result = train(stage, model, np.ones(len(latents)), loss, hyperparameters, run)
    return result, sizes
