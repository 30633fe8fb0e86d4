"""Sampling from diffusion in atom space."""

from functools import partial
from pathlib import Path
from typing import Any

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecules
from latent3d.diffusion.point_sampling import sample_points
from latent3d.nets.compiling import compile_layers
from latent3d.nets.egnn import Backbone
from latent3d.systems import Draw
from latent3d.systems.edm.model import AtomDiffusion
from latent3d.training.weights import read_weights


def sampler(
    backbone: Backbone,
    weights: dict[str, Path],
    data: Molecules | None,
    hyperparameters: dict[str, Any],
    run: Run,
    source: Path | None,
) -> Draw:
    """Noise to positions and elements; bonds are for whoever needs them to perceive. `data`, `source` are not used."""
    model, sizes = load(backbone, weights["diffusion"], run.device)
    return partial(sample_points, model.denoiser, model.read, model.features, sizes, hyperparameters, run.device)


def load(backbone: Backbone, path: Path, device: str) -> tuple[AtomDiffusion, dict[int, int]]:
    """The model of a weights file, ready for sampling, and its numbers of molecules by number of atoms."""
    state, metadata = read_weights(path)
    sizes = {int(atoms): count for atoms, count in metadata["sizes"].items()}
    model = AtomDiffusion(backbone, metadata["elements"], max(sizes), metadata["hyperparameters"])
    model.load_state_dict(state)
    model = model.to(device).eval().requires_grad_(False)
    compile_layers(*model.denoiser.network.network.layers)
    return model, sizes
