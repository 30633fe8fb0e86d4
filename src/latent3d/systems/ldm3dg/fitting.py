"""Training of the three stages: what data each sees and what a step is."""

from typing import Any

import numpy as np
import torch

from latent3d.base.errors import UserError
from latent3d.base.run import Run
from latent3d.base.settings import Settings
from latent3d.data.molecules.molecules import Molecules
from latent3d.systems import Parts
from latent3d.systems.ldm3dg.geometry.autoencoder import GeometricAutoencoder
from latent3d.systems.ldm3dg.geometry.conformers import encode_conformers
from latent3d.systems.ldm3dg.geometry.graphs import read_edge_graphs
from latent3d.systems.ldm3dg.models import load_geometry, load_topology
from latent3d.systems.ldm3dg.prior import CodeDiffusion
from latent3d.systems.ldm3dg.settings import Diffusion, Geometry, Topology
from latent3d.systems.ldm3dg.topology.autoencoder import TopologicalAutoencoder, encode_trees, kl_weight
from latent3d.systems.ldm3dg.topology.motifs import Vocabulary
from latent3d.systems.ldm3dg.topology.trees import read_trees
from latent3d.training.loop import Losses, TrainingResult, train

Fitted = tuple[TrainingResult, dict[str, Any]]


def fit(stage: str, data: Molecules, parts: Parts, settings: Settings, run: Run) -> Fitted:
    """Train one stage; returns the result and what the weights file must know beside the hyper-parameters."""
    stages = {"topology": _fit_topology, "geometry": _fit_geometry, "diffusion": _fit_diffusion}
    return stages[stage](data.split("train"), parts, settings, run)


def _fit_topology(data: Molecules, parts: Parts, settings: Topology, run: Run) -> Fitted:
    vocabulary = Vocabulary.of(data)
    trees = read_trees(vocabulary, data)
    sizes = require_molecules(trees.sizes)
    torch.manual_seed(run.seed)
    model = TopologicalAutoencoder(vocabulary, settings)

    def loss(model: torch.nn.Module, rows: torch.Tensor, generator: torch.Generator, step: int) -> Losses:
        return model(trees.select(rows, run.device), generator, kl_weight(step, settings))

    return train("topology", model, sizes, loss, settings, run), {"vocabulary": vocabulary.to_json()}


def _fit_geometry(data: Molecules, parts: Parts, settings: Geometry, run: Run) -> Fitted:
    graphs = read_edge_graphs(data).to(run.device)
    sizes = require_molecules(graphs.sizes)
    torch.manual_seed(run.seed)
    model = GeometricAutoencoder(settings)

    def loss(model: torch.nn.Module, rows: torch.Tensor, generator: torch.Generator, _: int) -> Losses:
        # Dropout draws from PyTorch's own generators: seeded by the step, so that resuming changes nothing.
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        return model(graphs.select(rows), generator)

    return train("geometry", model, sizes, loss, settings, run), {}


def _fit_diffusion(data: Molecules, parts: Parts, settings: Diffusion, run: Run) -> Fitted:
    topology, geometry = load_topology(parts["topology"], run.device), load_geometry(parts["geometry"], run.device)
    trees, graphs = read_trees(topology.vocabulary, data), read_edge_graphs(data).to(run.device)
    _, of_trees, of_graphs = np.intersect1d(trees.index, graphs.index, return_indices=True)
    roots = encode_trees(topology, trees).to(run.device)
    z_2d = roots if settings.codes == "raw" else topology.mean(roots)
    z_3d = encode_conformers(geometry, graphs)
    widths = z_2d.shape[1], z_3d.shape[1]
    latents = require_molecules(torch.cat([z_2d[of_trees], z_3d[of_graphs]], 1))
    torch.manual_seed(run.seed)
    model = CodeDiffusion(widths, settings)
    model.codes.fit(latents.cpu())

    def loss(model: torch.nn.Module, rows: torch.Tensor, generator: torch.Generator, _: int) -> Losses:
        return model(latents[rows.to(run.device)], generator)

    return train("diffusion", model, np.ones(len(latents)), loss, settings, run), {"widths": widths}


def require_molecules(found: Any) -> Any:
    """The same, or a plain error where fewer than two molecules could be read: batches are normalised."""
    if len(found) < 2:
        raise UserError("The dataset has fewer than two molecules with a usable bond graph. Check its bonds.")
    return found
