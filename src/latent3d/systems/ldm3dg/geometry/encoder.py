"""The 3D encoder of LDM-3DG: an EGNN over a radius graph to a code of the whole conformer.

Satorras et al. 2021 with distances that are not squared and means instead of sums; notes as released: 4 layers of width
256, mean pooling, layer norm, a head of two layers, tanh. Only distances are read, so the code does not change under
rotation, translation or reflection: mirror images share one code.
"""

import torch
import torch.nn.functional as F
from torch import nn

from latent3d.nets.self_supervision import View
from latent3d.systems.ldm3dg.geometry.graphs import MAX_NUMBER, EdgeBatch, Edges, segment_mean
from latent3d.systems.ldm3dg.geometry.joint import JointLinear
from latent3d.systems.ldm3dg.settings import Geometry


class RadiusLayer(nn.Module):
    """m_ij = MLP[h_i, h_j, |x_i - x_j|]; x_i += mean_j (x_i - x_j) MLP(m_ij); h_i += MLP[h_i, mean_j m_ij]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.edge_in, self.edge_out = JointLinear([width, width, 1], width), nn.Linear(width, width)
        self.scale = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1, bias=False))
        nn.init.xavier_uniform_(self.scale[-1].weight, gain=0.001)
        self.node = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, x: torch.Tensor, h: torch.Tensor, edges: Edges) -> tuple[torch.Tensor, torch.Tensor]:
        """x [A, 3], h [A, D] -> the same."""
        difference = x[edges.receivers] - x[edges.senders]
        distance = (difference.square().sum(-1, keepdim=True) + 1e-12).sqrt()
        parts = [(h, edges.receivers), (h, edges.senders), (distance, None)]
        m = F.silu(self.edge_out(F.silu(self.edge_in(parts))))  # [E, D]
        step = difference * self.scale(m).to(x.dtype)
        x = x + segment_mean(step, edges.receivers, len(x))
        return x, h + self.node(torch.cat([h, segment_mean(m, edges.receivers, len(h))], -1))


class GeometricEncoder(nn.Module):
    """Conformers to codes [B, code] in (-1, 1)."""

    def __init__(self, settings: Geometry) -> None:
        super().__init__()
        width, code = settings.encoder_width, settings.code
        self.embed = nn.Embedding(MAX_NUMBER, width)  # of one-hot elements
        self.layers = nn.ModuleList(RadiusLayer(width) for _ in range(settings.encoder_layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, code))

    def view(self, batch: EdgeBatch, hidden: torch.Tensor | None = None) -> View:
        """Codes [B, code] and the states of atoms [A, width] after the last layer; hidden atoms [A] have no element."""
        x, h = batch.positions, self.embed(batch.numbers - 1)
        if hidden is not None:
            h = h.masked_fill(hidden[:, None], 0)
        for layer in self.layers:
            x, h = layer(x, h, batch.near)
        return View(torch.tanh(self.head(self.norm(batch.mean(h)))), h, batch.batch)

    def forward(self, batch: EdgeBatch) -> torch.Tensor:
        """[B, code]."""
        return self.view(batch).codes
