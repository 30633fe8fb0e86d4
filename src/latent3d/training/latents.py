"""Training of diffusion models of latents."""

from typing import Any

import numpy as np
import torch

from latent3d.base.run import Run
from latent3d.diffusion.latent_diffusion import LatentDiffusion
from latent3d.nets.dit import SlotTransformer
from latent3d.nets.mlp import ResidualMLP
from latent3d.training.batches import pairs_at_once
from latent3d.training.loop import Losses, TrainingResult, train
from latent3d.training.settings import LatentDiffusionSettings, SlotDiffusionSettings


def latent_diffusion(dimension: int, condition: int, slots: int, settings: LatentDiffusionSettings) -> LatentDiffusion:
    """An untrained diffusion model of latents given a condition (their widths, 0 for none), both made of `slots`."""
    width, blocks = settings.width, settings.blocks
    if isinstance(settings, SlotDiffusionSettings) and settings.network == "transformer":
        network = SlotTransformer(dimension, condition, slots, width, blocks, settings.heads)
    else:
        network = ResidualMLP(dimension, condition, width, blocks)
    return LatentDiffusion(network, dimension, condition, settings.objective, settings.schedule)


def fit_latents(
    stage: str,
    latents: torch.Tensor,
    condition: torch.Tensor | None,
    slots: int,
    settings: LatentDiffusionSettings,
    run: Run,
) -> tuple[TrainingResult, dict[str, Any]]:
    """Diffusion of latents [M, K, D], K equally good ones per molecule, given a condition [M, C]; of so many slots."""
    torch.manual_seed(run.seed)
    width = 0 if condition is None else condition.shape[1]
    sizes = {"dimension": latents.shape[-1], "condition": width, "slots": slots}
    model = latent_diffusion(**sizes, settings=settings)
    model.codes.fit(latents.flatten(0, 1).cpu())
    if condition is not None:
        model.given.fit(condition.cpu())

    def loss(model: torch.nn.Module, rows: torch.Tensor, generator: torch.Generator, _: int) -> Losses:
        which = torch.randint(latents.shape[1], rows.shape, generator=generator)
        rows = rows.to(run.device)
        batch = latents[rows, which.to(run.device)]
        return model(batch, None if condition is None else condition[rows], generator)

    # Attention sees pairs of slots.
    tokens = np.full(len(latents), slots if isinstance(model.denoiser.network, SlotTransformer) else 1)
    bound = pairs_at_once(tokens, settings.batch_size, run.device)
    return train(stage, model, tokens, loss, settings, run, bound), sizes
