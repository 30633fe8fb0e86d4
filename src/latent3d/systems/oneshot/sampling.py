"""Sampling: noise -> z -> molecule. No coordinates, no force field come in."""

from functools import partial
from typing import Any

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecule
from latent3d.data.molecules.status import coordinate_status
from latent3d.diffusion.latent_diffusion import LatentPrior
from latent3d.diffusion.streams import Streams
from latent3d.systems import Context, Generate, Parts
from latent3d.systems.chunks import in_chunks
from latent3d.systems.oneshot.autoencoder import OneShotAutoencoder
from latent3d.systems.oneshot.models import load_autoencoder
from latent3d.training.latents import load_prior


def generator(parts: Parts, settings: dict[str, Any], context: Context, run: Run) -> Generate:
    """Whole molecules from z. `context` is not used."""
    model, prior = load_autoencoder(parts["autoencoder"], run.device), load_prior(parts["diffusion"], run.device)
    return in_chunks(partial(_generate_chunk, model, prior, settings), run.device)


def _generate_chunk(
    model: OneShotAutoencoder, prior: LatentPrior, h: dict[str, Any], streams: Streams
) -> tuple[list[Molecule], list[str]]:
    """One sample per stream: always a whole chunk, so that shapes and hence bytes never differ."""
    molecules, _ = model.decode(prior.draw(streams, h["steps"], h["sampler"]))
    return molecules, list(map(coordinate_status, molecules))
