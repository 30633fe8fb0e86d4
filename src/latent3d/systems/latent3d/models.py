"""The networks of the system, built from hyper-parameters or from weights files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from latent3d.base.errors import UserError
from latent3d.diffusion.guidance import Autoguided
from latent3d.diffusion.latent_diffusion import LatentPrior
from latent3d.nets.compiling import compile_layers
from latent3d.systems import Parts
from latent3d.systems.latent3d.geometry import GeometricAutoencoder
from latent3d.systems.latent3d.grammar import Grammar
from latent3d.systems.latent3d.topology import TopologicalAutoencoder
from latent3d.training.latents import check_heads, load_prior
from latent3d.training.weights import for_inference, read_weights

SELF_SUPERVISION = ("self_supervision", "self_supervision_weight")


def topological_autoencoder(grammar: Grammar, h: dict[str, Any]) -> TopologicalAutoencoder:
    """An untrained topological autoencoder with the hyper-parameters h of its stage."""
    check_heads("topology", h)
    names = ("atom_latent", "width", "layers", "heads", "beta", *SELF_SUPERVISION)
    return TopologicalAutoencoder(grammar, **{name: h[name] for name in names})


def geometric_autoencoder(max_heavy: int, h: dict[str, Any]) -> GeometricAutoencoder:
    """An untrained geometric autoencoder with the hyper-parameters h of its stage."""
    check_heads("geometry", h)
    names = ("atom_latent", "width", "layers", "heads", "beta", "spring_steps", "spring_steps_inference")
    return GeometricAutoencoder(max_heavy, **{name: h[name] for name in (*names, *SELF_SUPERVISION)})


def load_topology(path: Path, device: str) -> TopologicalAutoencoder:
    """The topological autoencoder of a weights file, ready for inference."""
    state, metadata = read_weights(path)
    grammar = Grammar(tuple(tuple(kind) for kind in metadata["types"]), metadata["max_atoms"])
    model = for_inference(topological_autoencoder(grammar, metadata["hyperparameters"]), state, device)
    compile_layers(*model.encoder, *model.decoder)
    return model


def load_geometry(path: Path, device: str) -> GeometricAutoencoder:
    """The geometric autoencoder of a weights file, ready for inference."""
    state, metadata = read_weights(path)
    model = for_inference(geometric_autoencoder(metadata["max_heavy"], metadata["hyperparameters"]), state, device)
    compile_layers(*model.encoder.blocks, *model.decoder)
    return model


def load_guided_prior(code: str, parts: Parts, h: dict[str, Any], device: str) -> LatentPrior:
    """The prior of a code (`2d` or `3d`), led away from its guide by the weight that sampling asks for.

    Raises:
        UserError: the two were trained with different noise schedules.
    """
    prior, weight = load_prior(parts[f"diffusion_{code}"], device), h[f"guidance_{code}"]
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
