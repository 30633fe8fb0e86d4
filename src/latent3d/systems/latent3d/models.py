"""The networks of weights files."""

from dataclasses import replace
from pathlib import Path

from latent3d.base.errors import UserError
from latent3d.diffusion.guidance import Autoguided
from latent3d.diffusion.latent_diffusion import LatentPrior
from latent3d.systems import Parts
from latent3d.systems.latent3d.geometry import GeometricAutoencoder
from latent3d.systems.latent3d.grammar import Grammar
from latent3d.systems.latent3d.settings import Geometry, Topology
from latent3d.systems.latent3d.topology import TopologicalAutoencoder
from latent3d.systems.loading import Metadata, load_network, load_prior


def load_topology(path: Path, device: str) -> TopologicalAutoencoder:
    """The topological autoencoder of a weights file."""

    def build(settings: Topology, metadata: Metadata) -> TopologicalAutoencoder:
        grammar = Grammar(tuple(tuple(kind) for kind in metadata["types"]), metadata["max_atoms"])
        return TopologicalAutoencoder(grammar, settings)

    return load_network(path, device, build)[0]


def load_geometry(path: Path, device: str) -> GeometricAutoencoder:
    """The geometric autoencoder of a weights file."""

    def build(settings: Geometry, metadata: Metadata) -> GeometricAutoencoder:
        return GeometricAutoencoder(metadata["max_heavy"], settings)

    return load_network(path, device, build)[0]


def load_guided_prior(code: str, parts: Parts, weight: float, device: str) -> LatentPrior:
    """The prior of z_2d or z_3d (`2d` or `3d`), led away from its guide by the weight of `sampling.guidance_...`.

    Raises:
        UserError: the two were trained with different noise schedules.
    """
    prior = load_prior(parts[f"diffusion_{code}"], device)
    if weight == 1:
        return prior
    weaker = load_prior(parts[f"guide_{code}"], device)
    schedules = prior.model.schedule, weaker.model.schedule
    if len(set(schedules)) > 1:  # at the same time their noise would differ
        raise UserError(
            f"diffusion_{code}.schedule is {schedules[0]!r} and guide_{code}.schedule {schedules[1]!r}. Set both "
            f"alike, or sampling.guidance_{code} to 1."
        )
    return replace(prior, model=Autoguided(prior.model, weaker.model, weight))
