"""The two networks of the system, built from hyper-parameters or from weights files."""

from pathlib import Path
from typing import Any

from latent3d.diffusion.objectives import Denoiser
from latent3d.diffusion.points import PointNetwork, point_denoiser
from latent3d.nets.compiling import compile_layers
from latent3d.nets.egnn import Kind
from latent3d.systems.geoldm.autoencoder import PointAutoencoder
from latent3d.training.weights import read_weights, ready


def latent_denoiser(kind: Kind, latent: int, h: dict[str, Any]) -> Denoiser:
    """An untrained denoiser of points with `latent` features each."""
    return point_denoiser(PointNetwork(kind, latent, h["width"], h["layers"], h["message_norm"]))


def load_autoencoder(kind: Kind, path: Path, device: str) -> PointAutoencoder:
    """The autoencoder of a weights file, ready for inference."""
    state, metadata = read_weights(path)
    largest = max(int(atoms) for atoms in metadata["sizes"])
    model = PointAutoencoder(kind, metadata["elements"], largest, metadata["hyperparameters"])
    model = ready(model, state, device)
    for network in (model.encoder, model.decoder):
        compile_layers(*network.layers)
    return model


def load_denoiser(kind: Kind, path: Path, device: str) -> tuple[Denoiser, dict[int, int]]:
    """The denoiser of a weights file, ready for sampling, and numbers of training molecules by number of atoms."""
    state, metadata = read_weights(path)
    model = ready(latent_denoiser(kind, metadata["latent"], metadata["hyperparameters"]), state, device)
    compile_layers(*model.network.network.layers)
    return model, {int(atoms): count for atoms, count in metadata["sizes"].items()}
