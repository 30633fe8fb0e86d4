"""Training of diffusion in atom space, and sampling from it."""

import sys
from functools import partial
from typing import Any

import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecules
from latent3d.diffusion.point_sampling import batches_by_size, sample_points
from latent3d.graphs.point_clouds import PointClouds, read_clouds
from latent3d.nets.egnn import EGNN, PAIRS_AT_ONCE, Backbone
from latent3d.systems import Context, Generate, Parts
from latent3d.systems.chunks import in_chunks
from latent3d.systems.edm.model import AtomDiffusion
from latent3d.systems.edm.settings import Diffusion, Sampling, turns
from latent3d.systems.loading import load_network
from latent3d.systems.points import batch_of, described, sizes_in, training_clouds
from latent3d.training.loop import Losses, TrainingResult, train

VALIDATION_MOLECULES = 1000


def fit_with(
    backbone: Backbone, stage: str, data: Molecules, parts: Parts, settings: Diffusion, run: Run
) -> tuple[TrainingResult, dict[str, Any]]:
    """Train the denoiser; returns the result and what the weights file must know beside the settings."""
    clouds = training_clouds(data).to(run.device)
    torch.manual_seed(run.seed)
    model = AtomDiffusion(backbone, clouds.elements, int(clouds.sizes.max()), settings)

    def loss(model: torch.nn.Module, rows: torch.Tensor, generator: torch.Generator, _: int) -> Losses:
        return model(batch_of(clouds, rows, turns(settings), generator), generator)

    result = train(stage, model, clouds.sizes, loss, settings, run, PAIRS_AT_ONCE[run.device])
    more = described(clouds)
    if run.is_main:
        model.load_state_dict(result.weights)
        more["bound"] = validation_bound(model, data, clouds, run)
    return result, more


def validation_bound(model: AtomDiffusion, data: Molecules, trained: PointClouds, run: Run) -> dict[str, float] | None:
    """Bound on -log p(x, h, N) of the first validation molecules with EMA weights: mean, standard error, nats.

    Molecules with an element or a number of atoms that training did not have would have no density: they are left out,
    and counted.
    """
    molecules = data.split("valid")
    clouds, _ = read_clouds(molecules, trained.elements)
    sizes = torch.from_numpy(clouds.sizes)
    widest = int(max(clouds.sizes.max(initial=0), trained.sizes.max()))
    frequency = torch.bincount(torch.from_numpy(trained.sizes), minlength=widest + 1) / len(trained)
    possible = torch.nonzero(frequency[sizes] > 0).flatten()
    rows, left_out = possible[:VALIDATION_MOLECULES], len(molecules) - len(possible)
    if len(rows) < 2:
        return None
    generator = torch.Generator().manual_seed(run.seed)
    found = torch.zeros(len(rows), dtype=torch.float64)
    for places in batches_by_size(clouds.sizes[rows], PAIRS_AT_ONCE[run.device]):
        part = rows[places]
        batch = clouds.padded(part).to(run.device)
        found[places] = model.bound(batch, generator).double().cpu() - frequency[sizes[part]].log()
    mean, error = found.mean().item(), (found.std() / len(found) ** 0.5).item()
    print(
        f"diffusion: bound on -log p of {len(found)} validation molecules: {mean:.1f} ± {error:.1f} nats "
        f"({left_out} without a density left out)",
        file=sys.stderr,
    )
    return {"mean": mean, "standard_error": error, "molecules": len(found), "left_out": left_out}


def generator_with(backbone: Backbone, parts: Parts, settings: Sampling, context: Context, run: Run) -> Generate:
    """Noise to positions and elements; bonds are for whoever needs them to perceive. `context` is not used."""

    def build(settings: Diffusion, metadata: dict[str, Any]) -> AtomDiffusion:
        return AtomDiffusion(backbone, metadata["elements"], max(sizes_in(metadata)), settings)

    model, metadata = load_network(parts["diffusion"], run.device, build)
    draw = partial(sample_points, model.denoiser, model.decode, model.features, sizes_in(metadata), settings)
    return in_chunks(draw, run.device)


fit, generator = partial(fit_with, EGNN), partial(generator_with, EGNN)
