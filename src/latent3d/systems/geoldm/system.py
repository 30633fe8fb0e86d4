"""Training of the autoencoder and of the diffusion over its latents; sampling; encoding and decoding.

The released code adds both losses and trains everything at once; since the latents carry no gradient there, the two
share no parameter, and training them one after the other differs in the clipping of gradients alone.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecules, from_list
from latent3d.data.molecules.perception import perceive_bonds
from latent3d.data.molecules.status import coordinate_status
from latent3d.diffusion.objectives import Denoiser
from latent3d.diffusion.point_sampling import batches_by_size, sample_points
from latent3d.diffusion.points import PointCondition, decode_z0, eps_loss
from latent3d.graphs.point_clouds import PointCloudBatch, read_clouds, to_molecules
from latent3d.nets.egnn import EGNN, PAIRS_AT_ONCE, Backbone
from latent3d.systems import Context, Encoded, Generate, Latents, Parts
from latent3d.systems.chunks import in_chunks
from latent3d.systems.edm.settings import turns
from latent3d.systems.geoldm.model import PointAutoencoder, latent_denoiser
from latent3d.systems.geoldm.settings import Autoencoder, Diffusion, Sampling
from latent3d.systems.loading import Metadata, load_network
from latent3d.systems.points import batch_of, described, sizes_in, training_clouds
from latent3d.systems.symmetry import relative_change
from latent3d.training.loop import Losses, TrainingResult, train

Fitted = tuple[TrainingResult, dict[str, Any]]


def fit_with(
    backbone: Backbone, stage: str, data: Molecules, parts: Parts, settings: Autoencoder | Diffusion, run: Run
) -> Fitted:
    """Train one stage; returns the result and what the weights file must know beside the settings."""
    stages = {"autoencoder": _fit_autoencoder, "diffusion": _fit_diffusion}
    return stages[stage](backbone, data, parts, settings, run)


def _fit_autoencoder(backbone: Backbone, data: Molecules, parts: Parts, settings: Autoencoder, run: Run) -> Fitted:
    clouds = training_clouds(data).to(run.device)
    torch.manual_seed(run.seed)
    model = PointAutoencoder(backbone, clouds.elements, int(clouds.sizes.max()), settings)

    def loss(model: torch.nn.Module, rows: torch.Tensor, generator: torch.Generator, step: int) -> Losses:
        return model(batch_of(clouds, rows, turns(settings), generator), generator, step < settings.encoder_steps)

    return train("autoencoder", model, clouds.sizes, loss, settings, run, PAIRS_AT_ONCE[run.device]), described(clouds)


def _fit_diffusion(backbone: Backbone, data: Molecules, parts: Parts, settings: Diffusion, run: Run) -> Fitted:
    autoencoder = load_autoencoder(backbone, parts["autoencoder"], run.device)
    clouds = read_clouds(data.split("train"), autoencoder.elements)[0].to(run.device)
    torch.manual_seed(run.seed)
    model = latent_denoiser(backbone, autoencoder.latent, settings)

    def loss(model: torch.nn.Module, rows: torch.Tensor, generator: torch.Generator, _: int) -> Losses:
        batch = batch_of(clouds, rows, turns(settings), generator)
        with torch.no_grad():
            z = autoencoder.draw(autoencoder.encode(batch), batch.mask, generator)
        condition = PointCondition(batch.mask)
        return {"loss": eps_loss(model, z, condition, autoencoder.largest, generator, discrete=False)}

    result = train("diffusion", model, clouds.sizes, loss, settings, run, PAIRS_AT_ONCE[run.device])
    return result, {"latent": autoencoder.latent, **described(clouds)}


def generator_with(backbone: Backbone, parts: Parts, settings: Sampling, context: Context, run: Run) -> Generate:
    """Noise to latents to positions and elements; bonds are for whoever needs them to perceive. `context`: not used."""
    autoencoder = load_autoencoder(backbone, parts["autoencoder"], run.device)

    def build(settings: Diffusion, metadata: Metadata) -> Denoiser:
        return latent_denoiser(backbone, metadata["latent"], settings)

    denoiser, metadata = load_network(parts["diffusion"], run.device, build)
    last_element = autoencoder.charges or settings.last_element == "kept"

    def decode(z0: torch.Tensor, noise: torch.Tensor, condition: PointCondition) -> PointCloudBatch:
        return autoencoder.decode_clouds(decode_z0(denoiser, z0, noise, condition), condition.mask, last_element)

    draw = partial(sample_points, denoiser, decode, autoencoder.latent, sizes_in(metadata), settings)
    return in_chunks(draw, run.device)


class PointCodec:
    """Positions and elements through z = [z_x, z_h] [M, N, 3 + k]; the graph is perceived from what comes out.

    Latents of other molecules have other points, so coordinates and graph have no latents of their own.
    """

    def __init__(self, backbone: Backbone, parts: Parts, run: Run) -> None:
        self.model, self.device = load_autoencoder(backbone, parts["autoencoder"], run.device), run.device
        self.latent_2d, self.latent_3d = self.model.latent * self.model.largest, 3 * self.model.largest

    @torch.no_grad()
    def encode(self, molecules: Molecules) -> Encoded:
        """The mean of the posterior, and the number of `atoms` [M]."""
        clouds, index = read_clouds(molecules, self.model.elements)
        atoms, there = torch.from_numpy(clouds.sizes), clouds.to(self.device)
        z = torch.zeros(len(atoms), clouds.sizes.max(initial=1), 3 + self.model.latent)
        for rows, width in self._batches(atoms):
            z[rows, :width] = self.model.encode(there.padded(rows)).cpu()
        return Encoded(index, [molecules[row] for row in index], {"z": z, "atoms": atoms}, clouds)

    @torch.no_grad()
    def decode(self, latents: Latents, generator: torch.Generator, given: Encoded | None = None) -> Molecules:
        """The likeliest elements, and coordinates. Nothing is random."""
        z, atoms = latents["z"], latents["atoms"]
        made = {}
        for rows, width in self._batches(atoms):
            mask = (torch.arange(width) < atoms[rows][:, None]).to(self.device)
            clouds = self.model.decode_clouds(z[rows, :width].to(self.device), mask)
            made |= dict(zip(rows.tolist(), to_molecules(clouds), strict=True))
        decoded = [made[row] for row in range(len(z))]
        if given is None:
            decoded = [perceive_bonds(molecule)[0] for molecule in decoded]
        else:
            decoded = [replace(m, positions=d.positions) for m, d in zip(given.molecules, decoded, strict=True)]
        return from_list(decoded, pd.DataFrame({"status": list(map(coordinate_status, decoded))}))

    @torch.no_grad()
    def change(self, encoded: Encoded, turn: torch.Tensor) -> float:
        """Of z, after turning z_x back."""
        clouds, z, found = encoded.read.to(self.device), encoded.latents["z"], torch.zeros(len(encoded.index))
        turn = turn.to(self.device)[None]
        for rows, width in self._batches(encoded.latents["atoms"]):
            turned = clouds.padded(rows).rotated(turn.expand(len(rows), 3, 3))
            z_turned = self.model.encode(turned)
            back = torch.cat([z_turned[..., :3] @ turn, z_turned[..., 3:]], -1)
            found[rows] = relative_change(z[rows, :width].to(self.device), back).cpu()
        return float(found.mean())

    def _batches(self, sizes: torch.Tensor) -> Iterator[tuple[torch.Tensor, int]]:
        """Rows of similar size, and the largest of them."""
        counts = sizes.numpy()
        for rows in batches_by_size(counts, PAIRS_AT_ONCE[self.device]):
            yield torch.tensor(rows), int(counts[rows].max())


def load_autoencoder(backbone: Backbone, path: Path, device: str) -> PointAutoencoder:
    """The autoencoder of a weights file."""

    def build(settings: Autoencoder, metadata: Metadata) -> PointAutoencoder:
        return PointAutoencoder(backbone, metadata["elements"], max(sizes_in(metadata)), settings)

    return load_network(path, device, build)[0]


fit, generator, codec = partial(fit_with, EGNN), partial(generator_with, EGNN), partial(PointCodec, EGNN)
