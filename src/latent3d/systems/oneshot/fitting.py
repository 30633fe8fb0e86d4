"""Training of the two stages: what data each sees and what a step is."""

from typing import Any

import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecules
from latent3d.graphs.conformers import encode_conformers, read_conformers
from latent3d.graphs.graph_batches import require_molecules
from latent3d.nets.compiling import compile_layers
from latent3d.systems import Parts
from latent3d.systems.oneshot.atoms import AtomClasses
from latent3d.systems.oneshot.models import autoencoder, load_autoencoder
from latent3d.training.batches import pairs_at_once
from latent3d.training.conformers import conformer_loss
from latent3d.training.latents import fit_latents
from latent3d.training.loop import TrainingResult, train


def fit(
    stage: str, data: Molecules, parts: Parts, settings: dict[str, Any], run: Run
) -> tuple[TrainingResult, dict[str, Any]]:
    """Train one stage; returns the result and what the weights file must know beside the hyper-parameters."""
    conformers = require_molecules(read_conformers(data.split("train")))
    graphs = conformers.graphs
    if stage == "diffusion":
        model = load_autoencoder(parts["autoencoder"], run.device)
        # Every molecule and its mirror image.
        z = torch.stack([encode_conformers(model, conformers, mirror) for mirror in (False, True)], 1)
        return fit_latents(stage, z.to(run.device), None, 1, settings, run)
    known = {
        "kinds": AtomClasses.of(graphs).kinds,
        "places": int(graphs.sizes.max()),
        "max_heavy": int(graphs.heavy().sizes.max()),
    }
    torch.manual_seed(run.seed)
    model = autoencoder(**known, h=settings).to(run.device)
    compile_layers(*model.encoder.blocks, *model.decoder)
    bound = pairs_at_once(graphs.sizes, settings["batch_size"], run.device)
    return train(stage, model, graphs.sizes, conformer_loss(conformers, run.device), settings, run, bound), known
