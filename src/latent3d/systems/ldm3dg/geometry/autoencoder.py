"""The geometric autoencoder of LDM-3DG: conformer -> z_3d; graph, z_3d (and, as released, coordinates) -> conformer."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from latent3d.nets.alignment import aligned_square_error
from latent3d.nets.self_supervision import SelfSupervision
from latent3d.systems.ldm3dg.geometry.decoder import GeometricDecoder, random_start
from latent3d.systems.ldm3dg.geometry.encoder import GeometricEncoder
from latent3d.systems.ldm3dg.geometry.graphs import MAX_NUMBER, EdgeBatch
from latent3d.systems.ldm3dg.settings import Geometry


class GeometricAutoencoder(nn.Module):
    """Encoder and decoder with their common loss: no KL term, no matching of symmetric atoms."""

    def __init__(self, settings: Geometry) -> None:
        super().__init__()
        self.code, self.collapse_weight = settings.code, settings.collapse_weight
        self.encoder = GeometricEncoder(settings)
        self.decoder = GeometricDecoder(settings)
        self.self_supervision = SelfSupervision(settings, settings.code, settings.encoder_width, MAX_NUMBER)

    @property
    def reads_positions(self) -> bool:
        """Whether the decoder is the released one, which reads coordinates."""
        return self.decoder.posterior is not None

    def forward(self, batch: EdgeBatch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Mean square error of coordinates after superposition, angstrom^2, and the term against collapse."""
        view = self.encoder.view(batch)
        z = view.codes
        x = self.decoder(batch, z, random_start(len(batch.numbers), generator).to(z.device))
        # Mean over the three coordinates, as a mean square error is.
        error = aligned_square_error(batch.dense(x.float()), batch.dense(batch.positions), batch.mask).mean() / 3
        collapse = collapse_penalty(z.float())
        losses = {"loss": error + self.collapse_weight * collapse, "mse": error, "collapse": collapse}
        return self.self_supervision(losses, view, partial(self.encoder.view, batch), batch.numbers - 1, generator)


def collapse_penalty(z: torch.Tensor) -> torch.Tensor:
    """mean_i log sum_{j != i} exp cos(z_i, z_j) of codes [B, D]: small where the codes of a batch point apart."""
    unit = F.normalize(z, dim=-1)
    same = torch.eye(len(z), dtype=torch.bool, device=z.device)
    return (unit @ unit.T).masked_fill(same, -torch.inf).logsumexp(1).mean()
