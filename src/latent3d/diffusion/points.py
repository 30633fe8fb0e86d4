"""Diffusion of point clouds: states z = [x, h] of positions and features per atom, x without centre of gravity.

Hoogeboom et al. 2022 (EDM), section 3. Shapes: z [B, N, 3 + F], mask [B, N], times t [B] in [0, 1]; zero at padding.
"""

from dataclasses import dataclass

import torch
from torch import nn

from latent3d.diffusion.model import PredictsX0
from latent3d.diffusion.objectives import Denoiser, NoiseLevel
from latent3d.graphs.point_clouds import centre
from latent3d.nets.alignment import rotation_matrix
from latent3d.nets.egnn import Backbone
from latent3d.nets.precision import full_precision

SCHEDULE = "polynomial_2"
TIMES = 1000
"""Steps of the chain that the models are trained on; sampling may stride over it."""


@dataclass(frozen=True)
class PointCondition:
    """Which atoms there are (mask [B, N]), and what is told of each of them (context [B, N, C], or None)."""

    mask: torch.Tensor
    context: torch.Tensor | None = None


class PointNetwork(nn.Module):
    """eps of a state: an EGNN's displacement (a GNN's output), without its mean, beside features."""

    def __init__(
        self, backbone: Backbone, features: int, width: int, layers: int, norm: float, context: int = 0
    ) -> None:
        super().__init__()
        # As released, what the network reads out includes time and context, which are then dropped.
        self.features = features
        self.network = backbone(features + 1 + context, width, layers, features + 1 + context, norm)

    def forward(self, z: torch.Tensor, t: torch.Tensor, condition: PointCondition) -> torch.Tensor:
        """[B, N, 3 + F], [B], condition -> [B, N, 3 + F]."""
        x, h, mask = z[..., :3], z[..., 3:], condition.mask
        features = [h, t[:, None, None].expand(*h.shape[:2], 1)]
        if condition.context is not None:
            features.append(condition.context)
        x_out, h_out = self.network(x, torch.cat(features, -1) * mask[..., None], mask)
        with full_precision(z):
            velocity = x_out.to(x.dtype) - x if self.network.equivariant else x_out.to(x.dtype)
            return torch.cat([centre(velocity, mask), h_out[..., : self.features].to(x.dtype)], -1)


def point_denoiser(network: PointNetwork) -> Denoiser:
    """The objective (eps) and schedule of EDM around a network."""
    return Denoiser(network, "eps", SCHEDULE)


def without_gravity(noise: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Noise [B, N, 3 + F] with its positions in the subspace without centre of gravity."""
    return torch.cat([centre(noise[..., :3], mask), noise[..., 3:] * mask[..., None]], -1)


def draw_noise(shape: torch.Size, mask: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Noise of a state's shape from a CPU generator, on the mask's device."""
    return without_gravity(torch.randn(shape, generator=generator).to(mask.device), mask)


def eps_loss(
    denoiser: Denoiser, z0: torch.Tensor, condition: PointCondition, largest: int, generator: torch.Generator,
    discrete: bool,
) -> torch.Tensor:  # fmt: skip
    """EDM's training loss: square error of eps at times k / 1000, k = 0 ... 1000, over (3 + F) times `largest` atoms.

    At k = 0 the features of atoms, where they are discrete, are decoded from z_0 without the network: no error of
    theirs. `largest` is that of the training molecules (the released code divides by that of the batch, which would
    make a molecule's weight depend on its company).
    """
    k = torch.randint(0, TIMES + 1, (len(z0),), generator=generator).to(z0.device)
    eps = draw_noise(z0.shape, condition.mask, generator)
    error = denoiser.square_error(z0, k / TIMES, eps, condition)
    if discrete:
        error = torch.cat([error[..., :3], error[..., 3:] * (k > 0)[:, None, None]], -1)
    return error.sum((1, 2)).mean() / (z0.shape[-1] * largest)


def decode_z0(model: PredictsX0, z0: torch.Tensor, noise: torch.Tensor, condition: PointCondition) -> torch.Tensor:
    """z ~ N(E[z | z_0], sigma_0 / alpha_0): the last step of the chain (EDM, eq. 17)."""
    time = z0.new_zeros(len(z0))
    level = NoiseLevel.at(model.schedule, time, z0.dim())
    return model.predict_x0(z0, time, condition) + level.sigma / level.alpha * noise


def random_rotations(count: int, generator: torch.Generator) -> torch.Tensor:
    """[count, 3, 3] uniform rotations, from normal quaternions."""
    return rotation_matrix(torch.randn(count, 4, generator=generator))
