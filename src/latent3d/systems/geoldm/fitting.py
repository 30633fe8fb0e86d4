"""Training of the autoencoder and of the diffusion over its latents.

The released code adds both losses and trains everything at once; since the latents carry no gradient there, the two
share no parameter, and training them one after the other differs in the clipping of gradients alone.
"""

from typing import Any

import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecules
from latent3d.diffusion.points import PointCondition, eps_loss
from latent3d.graphs.point_clouds import read_clouds
from latent3d.nets.compiling import compile_layers
from latent3d.nets.egnn import PAIRS_AT_ONCE, Backbone
from latent3d.systems import Parts
from latent3d.systems.edm.fitting import batch_of, described, training_clouds
from latent3d.systems.geoldm.autoencoder import PointAutoencoder
from latent3d.systems.geoldm.models import latent_denoiser, load_autoencoder
from latent3d.training.loop import Losses, TrainingResult, train

Fitted = tuple[TrainingResult, dict[str, Any]]


def fit(backbone: Backbone, stage: str, data: Molecules, parts: Parts, settings: dict[str, Any], run: Run) -> Fitted:
    """Train one stage; returns the result and what the weights file must know beside the hyper-parameters."""
    stages = {"autoencoder": _fit_autoencoder, "diffusion": _fit_diffusion}
    return stages[stage](backbone, data, parts, settings, run)


def _fit_autoencoder(backbone: Backbone, data: Molecules, parts: Parts, h: dict[str, Any], run: Run) -> Fitted:
    clouds = training_clouds(data).to(run.device)
    torch.manual_seed(run.seed)
    model = PointAutoencoder(backbone, clouds.elements, int(clouds.sizes.max()), h).to(run.device)
    for network in (model.encoder, model.decoder):
        compile_layers(*network.layers)
    turn = not backbone.equivariant and h["augment"]

    def loss(model: torch.nn.Module, rows: torch.Tensor, generator: torch.Generator, step: int) -> Losses:
        return model(batch_of(clouds, rows, turn, generator), generator, step < h["encoder_steps"])

    return train("autoencoder", model, clouds.sizes, loss, h, run, PAIRS_AT_ONCE[run.device]), described(clouds)


def _fit_diffusion(backbone: Backbone, data: Molecules, parts: Parts, h: dict[str, Any], run: Run) -> Fitted:
    autoencoder = load_autoencoder(backbone, parts["autoencoder"], run.device)
    clouds = read_clouds(data.split("train"), autoencoder.elements)[0].to(run.device)
    torch.manual_seed(run.seed)
    model = latent_denoiser(backbone, autoencoder.latent, h).to(run.device)
    compile_layers(*model.network.network.layers)
    turn = not backbone.equivariant and h["augment"]

    def loss(model: torch.nn.Module, rows: torch.Tensor, generator: torch.Generator, _: int) -> Losses:
        batch = batch_of(clouds, rows, turn, generator)
        with torch.no_grad():
            z = autoencoder.draw(autoencoder.encode(batch), batch.mask, generator)
        condition = PointCondition(batch.mask)
        return {"loss": eps_loss(model, z, condition, autoencoder.largest, generator, discrete=False)}

    result = train("diffusion", model, clouds.sizes, loss, h, run, PAIRS_AT_ONCE[run.device])
    return result, {"latent": autoencoder.latent, **described(clouds)}
