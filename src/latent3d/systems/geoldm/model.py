"""The point autoencoder, molecules to points that carry k invariant features each, and back; and a denoiser of these.

Xu et al. 2023 (GeoLDM), section 4.1. Shapes: B molecules, N atoms, E elements, F = E + 1 (with charges) or E; mask
[B, N] is True for atoms.
"""

import torch
import torch.nn.functional as F
from torch import nn

from latent3d.diffusion.objectives import Denoiser, NoiseLevel
from latent3d.diffusion.points import SCHEDULE, PointNetwork, draw_noise, point_denoiser
from latent3d.graphs.point_clouds import PointCloudBatch, centre
from latent3d.nets.egnn import Backbone
from latent3d.nets.precision import full_precision
from latent3d.systems.geoldm.settings import Autoencoder, Diffusion


class PointAutoencoder(nn.Module):
    """Encoder of one layer, decoder of several; the latents get the noise that the diffusion leaves at t = 0.

    The encoder also reads out variances, which nothing uses: the released code overwrites them by that noise.
    """

    def __init__(self, backbone: Backbone, elements: tuple[int, ...], largest: int, settings: Autoencoder) -> None:
        super().__init__()
        self.elements, self.largest, self.charges = tuple(elements), largest, settings.charges
        self.latent, self.kl_weight = settings.latent, settings.kl_weight
        width, norm, features = settings.width, settings.message_norm, len(elements) + settings.charges
        self.encoder = backbone(features, width, settings.encoder_layers, width, norm)
        self.code = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2 * self.latent + 1))
        self.decoder = backbone(self.latent, width, settings.decoder_layers, features, norm)

    def encode(self, clouds: PointCloudBatch) -> torch.Tensor:
        """Mean of z = [z_x, z_h]: [B, N, 3 + k], z_x without centre of gravity, zero at padding."""
        dtype = clouds.positions.dtype
        parts = [F.one_hot(clouds.types, len(self.elements)).to(dtype)]
        if self.charges:
            parts.append(clouds.atomic_numbers()[..., None].to(dtype))
        x, h = self.encoder(clouds.positions, torch.cat(parts, -1) * clouds.mask[..., None], clouds.mask)
        with full_precision(x):
            z_h = self.code(h)[..., 1 : 1 + self.latent] * clouds.mask[..., None]
            return torch.cat([centre(x.to(dtype), clouds.mask), z_h.to(dtype)], -1)

    def draw(self, mean: torch.Tensor, mask: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Latents z ~ N(mean, sigma_0^2), with the noise of the schedule at t = 0."""
        return mean + noise_of_latents() * draw_noise(mean.shape, mask, generator)

    def decode(self, z: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Positions [B, N, 3] without centre of gravity, logits of elements [B, N, E], charges [B, N, 0 or 1]."""
        x, h = self.decoder(z[..., :3], z[..., 3:], mask)
        h = h.to(z.dtype)
        return centre(x.to(z.dtype), mask), h[..., : len(self.elements)], h[..., len(self.elements) :]

    def forward(
        self, clouds: PointCloudBatch, generator: torch.Generator, train_encoder: bool
    ) -> dict[str, torch.Tensor]:
        """Reconstruction loss [|x - x^|^2 + CE(element) + (charge)^2] / ((3 + F) largest), plus a weighted KL term.

        The KL term is that of unit variances, as released. Without `train_encoder` latents carry no gradient.
        """
        mask = clouds.mask
        with torch.set_grad_enabled(train_encoder and torch.is_grad_enabled()):
            mean = self.encode(clouds)
        x, logits, charge = self.decode(self.draw(mean, mask, generator), mask)
        error = (x - clouds.positions).square().sum(-1)  # [B, N]
        error = error + F.cross_entropy(logits.transpose(1, 2), clouds.types, reduction="none")
        if self.charges:
            error = error + (charge[..., 0] - clouds.atomic_numbers()).square()
        scale = (3 + len(self.elements) + self.charges) * self.largest
        reconstruction = (error * mask).sum(1).mean() / scale
        kl = 0.5 * mean.square().sum((1, 2)).mean() / scale
        return {"loss": reconstruction + self.kl_weight * kl, "reconstruction": reconstruction, "kl": kl}

    def decode_clouds(self, z: torch.Tensor, mask: torch.Tensor, last_element: bool = True) -> PointCloudBatch:
        """Molecules of latents. Without `last_element` the last element cannot be chosen (released defect)."""
        x, logits, _ = self.decode(z, mask)
        logits = logits if last_element else logits[..., :-1]
        return PointCloudBatch(x, logits.argmax(-1) * mask, mask, self.elements)


def noise_of_latents() -> float:
    """sigma at t = 0 of the diffusion over the latents."""
    return float(NoiseLevel.at(SCHEDULE, torch.zeros(1)).sigma)


def latent_denoiser(backbone: Backbone, latent: int, settings: Diffusion) -> Denoiser:
    """An untrained denoiser of points with `latent` features each."""
    return point_denoiser(PointNetwork(backbone, latent, settings.width, settings.layers, settings.message_norm))
