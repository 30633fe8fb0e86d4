"""Training of diffusion models of codes."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from latent3d.base.errors import UserError
from latent3d.base.run import Run
from latent3d.diffusion.latent_diffusion import LatentDiffusion
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
    """An untrained diffusion model of codes of a dimension, given codes of another, all made of so many slots."""
    if h["network"] == "mlp":
        network = ResidualMLP(dimension, condition, h["width"], h["blocks"])
    else:
        check_heads(stage, h)
        network = SlotTransformer(dimension, condition, slots, h["width"], h["blocks"], h["heads"])
    return LatentDiffusion(network, dimension, condition, h["objective"], h["schedule"])


def load_prior(path: Path, device: str) -> LatentDiffusion:
    """A latent diffusion model of a weights file, ready for sampling."""
    state, metadata = read_weights(path)
    sizes = metadata["dimension"], metadata["condition"], metadata["slots"]
    model = for_inference(latent_diffusion(metadata["stage"], *sizes, metadata["hyperparameters"]), state, device)
    compile_layers(model.denoiser.network)
    return model


def fit_codes(
    stage: str, codes: torch.Tensor, given: torch.Tensor, slots: int, hyperparameters: dict[str, Any], run: Run
) -> tuple[TrainingResult, dict[str, Any]]:
    """Diffusion of codes [M, K, D], K equally good ones per molecule, given [M, C]; made of so many slots."""
    torch.manual_seed(run.seed)
    sizes = {"dimension": codes.shape[-1], "condition": given.shape[-1], "slots": slots}
    model = latent_diffusion(stage, **sizes, h=hyperparameters)
    model.codes.fit(codes.flatten(0, 1).cpu())
    if given.shape[-1]:
        model.given.fit(given.cpu())
    model.to(run.device)
    compile_layers(model.denoiser.network)

    def loss(model: torch.nn.Module, rows: torch.Tensor, generator: torch.Generator, _: int) -> Losses:
        which = torch.randint(codes.shape[1], rows.shape, generator=generator)
        rows = rows.to(run.device)
        return model(codes[rows, which.to(run.device)], given[rows], generator)

    result = train(stage, model, np.ones(len(codes)), loss, hyperparameters, run)
    return result, sizes
