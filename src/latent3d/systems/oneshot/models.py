"""The autoencoder, built from hyper-parameters or from a weights file; the diffusion model is latent3d's."""

from pathlib import Path
from typing import Any

from latent3d.nets.compiling import compile_layers
from latent3d.systems.oneshot.atoms import AtomClasses
from latent3d.systems.oneshot.autoencoder import OneShotAutoencoder
from latent3d.training.latents import check_heads
from latent3d.training.weights import for_inference, read_weights


def autoencoder(
    kinds: tuple[tuple[int, int], ...], places: int, max_heavy: int, h: dict[str, Any]
) -> OneShotAutoencoder:
    """An untrained autoencoder with the hyper-parameters h of its stage."""
    check_heads("autoencoder", h)
    names = ("latent", "width", "layers", "heads", "beta", "position_weight")
    return OneShotAutoencoder(AtomClasses(kinds), places, max_heavy, **{name: h[name] for name in names})


def load_autoencoder(path: Path, device: str) -> OneShotAutoencoder:
    """The autoencoder of a weights file, ready for inference."""
    state, metadata = read_weights(path)
    kinds = tuple(tuple(kind) for kind in metadata["kinds"])
    sizes = metadata["places"], metadata["max_heavy"]
    model = for_inference(autoencoder(kinds, *sizes, metadata["hyperparameters"]), state, device)
    compile_layers(*model.encoder.blocks, *model.decoder)
    return model
