"""Sampling from diffusion in atom space."""

from functools import partial
from pathlib import Path
from typing import Any

from latent3d.base.run import Run
from latent3d.diffusion.point_sampling import sample_points
from latent3d.nets.compiling import compile_layers
from latent3d.nets.egnn import Backbone
from latent3d.systems import Context, Generate, Parts
from latent3d.systems.chunks import in_chunks
from latent3d.systems.edm.model import AtomDiffusion
from latent3d.training.weights import read_weights


def generator(
    backbone: Backbone,
    parts: Parts,
    settings: dict[str, Any],
    context: Context,
    run: Run,
) -> Generate:
    """Noise to positions and elements; bonds are for whoever needs them to perceive. `context` is not used."""
    model, sizes = load(backbone, parts["diffusion"], run.device)
    return in_chunks(partial(sample_points, model.denoiser, model.decode, model.features, sizes, settings), run.device)


def load(backbone: Backbone, path: Path, device: str) -> tuple[AtomDiffusion, dict[int, int]]:
    """The model of a weights file, ready for sampling, and its numbers of molecules by number of atoms."""
    state, metadata = read_weights(path)
    sizes = {int(atoms): count for atoms, count in metadata["sizes"].items()}
    model = AtomDiffusion(backbone, metadata["elements"], max(sizes), metadata["hyperparameters"])
    model.load_state_dict(state)
    model = model.to(device).eval().requires_grad_(False)
    compile_layers(*model.denoiser.network.network.layers)
    return model, sizes
