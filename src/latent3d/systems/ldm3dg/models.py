"""The networks of the system, built from hyper-parameters or from weights files."""

from pathlib import Path
from typing import Any

from latent3d.systems.ldm3dg.geometry import GeometricAutoencoder
from latent3d.systems.ldm3dg.motifs import Vocabulary
from latent3d.systems.ldm3dg.prior import CodeDiffusion
from latent3d.systems.ldm3dg.topology import TopologicalAutoencoder
from latent3d.training.weights import for_inference, read_weights


def topological_autoencoder(vocabulary: Vocabulary, h: dict[str, Any]) -> TopologicalAutoencoder:
    """An untrained topological autoencoder with the hyper-parameters h of its stage."""
    names = ("hidden", "embed", "latent", "depth_tree", "depth_graph", "self_supervision", "self_supervision_weight")
    return TopologicalAutoencoder(vocabulary, **{name: h[name] for name in names})


def load_topology(path: Path, device: str) -> TopologicalAutoencoder:
    """The topological autoencoder of a weights file, ready for inference."""
    state, metadata = read_weights(path)
    vocabulary = Vocabulary.from_json(metadata["vocabulary"])
    return for_inference(topological_autoencoder(vocabulary, metadata["hyperparameters"]), state, device)


def load_geometry(path: Path, device: str) -> GeometricAutoencoder:
    """The geometric autoencoder of a weights file, ready for inference."""
    state, metadata = read_weights(path)
    return for_inference(GeometricAutoencoder(metadata["hyperparameters"]), state, device)


def load_prior(path: Path, device: str) -> CodeDiffusion:
    """The diffusion model of a weights file, ready for sampling."""
    state, metadata = read_weights(path)
    return for_inference(CodeDiffusion(tuple(metadata["widths"]), metadata["hyperparameters"]), state, device)
