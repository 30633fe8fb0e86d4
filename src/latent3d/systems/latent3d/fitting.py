"""Training of the stages: what data each sees and what a step is."""

from functools import partial
from typing import Any

import torch

from latent3d.base.run import Run
from latent3d.base.settings import Settings
from latent3d.data.molecules.molecules import Molecules
from latent3d.graphs.conformers import encode_conformers, read_conformers
from latent3d.graphs.graph_batches import read_graphs, require_molecules
from latent3d.systems import Parts
from latent3d.systems.latent3d.geometry import GeometricAutoencoder
from latent3d.systems.latent3d.grammar import Grammar
from latent3d.systems.latent3d.models import load_geometry, load_topology
from latent3d.systems.latent3d.sequences import read_sequences
from latent3d.systems.latent3d.settings import Diffusion2D, Geometry, Topology
from latent3d.systems.latent3d.topology import TopologicalAutoencoder, encode_graphs
from latent3d.training.batches import pairs_at_once
from latent3d.training.conformers import conformer_loss
from latent3d.training.latents import fit_latents
from latent3d.training.loop import Losses, TrainingResult, train

Fitted = tuple[TrainingResult, dict[str, Any]]


def fit(stage: str, data: Molecules, parts: Parts, settings: Settings, run: Run) -> Fitted:
    """Train one stage; returns the result and what the weights file must know beside the settings."""
    stages = {
        "topology": _fit_topology,
        "geometry": _fit_geometry,
        "diffusion_2d": partial(_fit_diffusion_2d, stage),
        "diffusion_3d": partial(_fit_diffusion_3d, stage),
        "guide_2d": partial(_fit_diffusion_2d, stage),
        "guide_3d": partial(_fit_diffusion_3d, stage),
    }
    return stages[stage](data.split("train"), parts, settings, run)


def _fit_topology(data: Molecules, parts: Parts, settings: Topology, run: Run) -> Fitted:
    graphs = require_molecules(read_graphs(data))
    grammar = Grammar.of(graphs)
    sequences, heavy = read_sequences(grammar, graphs).to(run.device), graphs.heavy().to(run.device)
    torch.manual_seed(run.seed)
    model = TopologicalAutoencoder(grammar, settings)

    def loss(model: torch.nn.Module, rows: torch.Tensor, generator: torch.Generator, _: int) -> Losses:
        return model(heavy.padded(rows), sequences.padded(rows), generator)

    bound = pairs_at_once(heavy.sizes, settings.batch_size, run.device)
    return train("topology", model, heavy.sizes, loss, settings, run, bound), {
        "types": grammar.types,
        "max_atoms": grammar.max_atoms,
    }


def _fit_geometry(data: Molecules, parts: Parts, settings: Geometry, run: Run) -> Fitted:
    conformers = require_molecules(read_conformers(data))
    sizes, max_heavy = conformers.graphs.sizes, int(conformers.graphs.heavy().sizes.max())
    torch.manual_seed(run.seed)
    model = GeometricAutoencoder(max_heavy, settings)
    loss = conformer_loss(conformers, run.device)
    bound = pairs_at_once(sizes, settings.batch_size, run.device)
    return train("geometry", model, sizes, loss, settings, run, bound), {"max_heavy": max_heavy}


def _fit_diffusion_2d(stage: str, data: Molecules, parts: Parts, settings: Diffusion2D, run: Run) -> Fitted:
    topology = load_topology(parts["topology"], run.device)
    z_2d = encode_graphs(topology, require_molecules(read_graphs(data))).to(run.device)
    return fit_latents(stage, z_2d[:, None], None, topology.grammar.max_atoms, settings, run)


def _fit_diffusion_3d(stage: str, data: Molecules, parts: Parts, settings: Diffusion2D, run: Run) -> Fitted:
    topology, geometry = load_topology(parts["topology"], run.device), load_geometry(parts["geometry"], run.device)
    conformers = require_molecules(read_conformers(data))
    z_2d = encode_graphs(topology, conformers.graphs).to(run.device)
    # Every molecule and its mirror image.
    z_3d = torch.stack([encode_conformers(geometry, conformers, mirror) for mirror in (False, True)], 1)
    return fit_latents(stage, z_3d.to(run.device), z_2d, geometry.code.heavy, settings, run)
