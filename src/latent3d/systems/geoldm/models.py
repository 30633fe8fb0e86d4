"""The two networks of the system, built from hyper-parameters or from weights files."""

from pathlib import Path
from typing import Any

from latent3d.diffusion.objectives import Denoiser
from latent3d.diffusion.points import PointNetwork, point_denoiser
from latent3d.nets.compiling import compile_layers
from latent3d.nets.egnn import Backbone
from latent3d.systems.geoldm.autoencoder import PointAutoencoder
from latent3d.training.weights import for_inference, read_weights


def latent_denoiser(backbone: Backbone, latent: int, h: dict[str, Any]) -> Denoiser:
    """An untrained denoiser of points with `latent` features each."""
    return point_denoiser(PointNetwork(backbone, latent, h["width"], h["layers"], h["message_norm"]))


def load_autoencoder(backbone: Backbone, path: Path, device: str) -> PointAutoencoder:
    """The autoencoder of a weights file, ready for inference."""
    state, metadata = read_weights(path)
    largest = max(int(atoms) for atoms in metadata["sizes"])
    model = PointAutoencoder(backbone, metadata["elements"], largest, metadata["hyperparameters"])
    model = for_inference(model, state, device)
    for network in (model.encoder, model.decoder):
        compile_layers(*network.layers)
    return model


def load_denoiser(backbone: Backbone, path: Path, device: str) -> tuple[Denoiser, dict[int, int]]:
    """The denoiser of a weights file, ready for sampling, and numbers of training molecules by number of atoms."""
    state, metadata = read_weights(path)
    model = for_inference(latent_denoiser(backbone, metadata["latent"], metadata["hyperparameters"]), state, device)
    compile_layers(*model.network.network.layers)
    return model, {int(atoms): count for atoms, count in metadata["sizes"].items()}
