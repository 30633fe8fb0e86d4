"""The networks of weights files."""

from pathlib import Path
from typing import Any

from latent3d.systems.ldm3dg.geometry.autoencoder import GeometricAutoencoder
from latent3d.systems.ldm3dg.prior import CodeDiffusion
from latent3d.systems.ldm3dg.settings import Topology
from latent3d.systems.ldm3dg.topology.autoencoder import TopologicalAutoencoder
from latent3d.systems.ldm3dg.topology.motifs import Vocabulary
from latent3d.systems.loading import load_network


def load_topology(path: Path, device: str) -> TopologicalAutoencoder:
    """The topological autoencoder of a weights file, ready for inference."""

    def build(settings: Topology, metadata: dict[str, Any]) -> TopologicalAutoencoder:
        return TopologicalAutoencoder(Vocabulary.from_json(metadata["vocabulary"]), settings)

    return load_network(path, device, build)[0]


def load_geometry(path: Path, device: str) -> GeometricAutoencoder:
    """The geometric autoencoder of a weights file, ready for inference."""
    return load_network(path, device, lambda settings, _: GeometricAutoencoder(settings))[0]


def load_prior(path: Path, device: str) -> CodeDiffusion:
    """The diffusion model of a weights file, ready for sampling."""
    return load_network(path, device, lambda settings, metadata: CodeDiffusion(tuple(metadata["widths"]), settings))[0]
