"""Sampling: noise -> z -> molecule. No coordinates, no force field come in."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecule, Molecules
from latent3d.diffusion.latent_diffusion import LatentDiffusion
from latent3d.diffusion.streams import Streams
from latent3d.systems import Draw
from latent3d.systems.chunks import draw_in_chunks
from latent3d.systems.oneshot.autoencoder import OneShotAutoencoder
from latent3d.systems.oneshot.models import load_autoencoder
from latent3d.training.latents import load_prior


def sampler(
    weights: dict[str, Path],
    data: Molecules | None,
    hyperparameters: dict[str, Any],
    run: Run,
    source: Path | None,
) -> Draw:
    """Whole molecules from z. `data` and `source` are not used."""
    model, prior = load_autoencoder(weights["autoencoder"], run.device), load_prior(weights["diffusion"], run.device)
    return draw_in_chunks(partial(_sample_chunk, model, prior, hyperparameters), run.device)


def _sample_chunk(
    model: OneShotAutoencoder, prior: LatentDiffusion, h: dict[str, Any], streams: Streams
) -> tuple[list[Molecule], list[str]]:
    """One sample per stream: always a whole chunk, so that shapes and hence bytes never differ."""
    nothing = torch.zeros(len(streams), 0, device=streams.device)
    molecules, _ = model.decode(prior.draw(nothing, streams, h["steps"], h["sampler"]))
    return molecules, ["ok" if np.isfinite(m.positions).all() else "nan_coordinates" for m in molecules]
