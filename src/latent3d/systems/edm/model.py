"""Diffusion in atom space: states are positions, scaled one-hot elements and scaled atomic numbers.

Hoogeboom et al. 2022, sections 3 and 4. Shapes: B molecules, N atoms, E elements, F = E + 1 (with charges) or E.
"""

import torch
import torch.nn.functional as F
from torch import nn

from latent3d.diffusion import bound
from latent3d.diffusion.objectives import NoiseLevel
from latent3d.diffusion.points import (
    SCHEDULE,
    TIMES,
    PointCondition,
    PointNetwork,
    decode_z0,
    draw_noise,
    eps_loss,
    point_denoiser,
)
from latent3d.graphs.point_clouds import PointCloudBatch
from latent3d.nets.egnn import Backbone
from latent3d.systems.edm.settings import Diffusion


class AtomDiffusion(nn.Module):
    """The denoiser, and how molecules become states and states molecules."""

    def __init__(self, backbone: Backbone, elements: tuple[int, ...], largest: int, settings: Diffusion) -> None:
        super().__init__()
        self.elements, self.largest, self.charges = tuple(elements), largest, settings.charges
        self.type_scale, self.charge_scale = settings.type_scale, settings.charge_scale
        network = PointNetwork(backbone, self.features, settings.width, settings.layers, settings.message_norm)
        self.denoiser = point_denoiser(network)

    @property
    def features(self) -> int:
        """Invariant features per atom."""
        return len(self.elements) + self.charges

    def state(self, clouds: PointCloudBatch) -> torch.Tensor:
        """z = [x, one-hot / type_scale, atomic number / charge_scale]: [B, N, 3 + F], zero at padding."""
        dtype = clouds.positions.dtype
        parts = [clouds.positions, F.one_hot(clouds.types, len(self.elements)).to(dtype) / self.type_scale]
        if self.charges:
            parts.append(clouds.atomic_numbers()[..., None].to(dtype) / self.charge_scale)
        return torch.cat(parts, -1) * clouds.mask[..., None]

    def forward(self, clouds: PointCloudBatch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Training loss of a batch."""
        z0, condition = self.state(clouds), PointCondition(clouds.mask)
        return {"loss": eps_loss(self.denoiser, z0, condition, self.largest, generator, discrete=True)}

    @torch.no_grad()
    def bound(self, clouds: PointCloudBatch, generator: torch.Generator) -> torch.Tensor:
        """[B] one-sample estimates of the bound on -log p(x, h | N), nats: L_T + 1000 L_k (k uniform) + L_0."""
        z0, mask = self.state(clouds), clouds.mask

        def noised(k: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            """State after step k [B], its noise and what the network says of it."""
            level = NoiseLevel.at(SCHEDULE, k / TIMES, z0.dim())
            eps = draw_noise(z0.shape, mask, generator).to(z0.dtype)
            z = level.alpha * z0 + level.sigma * eps
            return z, eps, self.denoiser.network(z, k / TIMES, PointCondition(mask))

        k = torch.randint(1, TIMES + 1, (len(z0),), generator=generator).to(z0)
        _, eps, predicted = noised(k)
        total = bound.prior_term(z0, mask) + TIMES * bound.diffusion_term(eps, predicted, k)
        z, eps, predicted = noised(torch.zeros_like(k))
        end = 3 + len(self.elements)
        total += bound.position_term(eps, predicted, mask)
        total += bound.type_term(z[..., 3:end], clouds.types, mask, self.type_scale)
        if self.charges:
            total += bound.charge_term(z[..., end], clouds.atomic_numbers(), mask, self.charge_scale)
        return total

    def decode(self, z0: torch.Tensor, noise: torch.Tensor, condition: PointCondition) -> PointCloudBatch:
        """Draw from p(x, h | z_0): positions around the network's estimate, the element of the largest feature.

        `noise` [B, N, 3 + F] is standard normal without centre of gravity.
        """
        x = decode_z0(self.denoiser, z0, noise, condition)[..., :3]
        types = z0[..., 3 : 3 + len(self.elements)].argmax(-1) * condition.mask
        return PointCloudBatch(x, types, condition.mask, self.elements)
