"""The networks of EDM written plainly: lists of edges, concatenated inputs, scatter sums. A reference, never used.

The layers follow the equations one by one (Hoogeboom et al. 2022, eq. 12 and 13): every edge's input [h_i, h_j,
d_ij^2, d0_ij^2] is built, multiplied, and summed over its receiving atom with index_add. Tests compare
`latent3d.nets.egnn` with it, and point_models.py its speed. It takes the weights of the dense networks, so that both
compute the same function.
"""

import torch
import torch.nn.functional as F
from torch import nn

from latent3d.nets.egnn import COORDINATE_RANGE, EGNN, GNN, CoordinateStep, Messages


def forward(
    network: EGNN | GNN, x: torch.Tensor, h: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What `network(x, h, mask)` gives, by edges: x [B, N, 3], h [B, N, F], mask [B, N]; padding is computed, too."""
    batch, atoms = mask.shape
    pairs = torch.cartesian_prod(torch.arange(atoms), torch.arange(atoms)).to(x.device)
    i, j = (torch.arange(batch, device=x.device)[:, None] * atoms + pairs[:, side] for side in (0, 1))
    i, j = i.flatten(), j.flatten()
    node_mask = mask.flatten()[:, None].to(x.dtype)
    edge_mask = node_mask[i] * node_mask[j] * (i != j)[:, None]
    x, h = x.reshape(-1, 3), h.reshape(batch * atoms, -1)
    if isinstance(network, GNN):
        h = network.embed(torch.cat([x, h], 1))
        for layer in network.layers:
            h = _messages(layer, h, None, i, j, edge_mask)
        out = network.read(h) * node_mask
        return out[:, :3].view(batch, atoms, 3), out[:, 3:].view(batch, atoms, -1)
    first = (x[i] - x[j]).square().sum(1, keepdim=True)
    h = network.embed(h)
    for layer in network.layers:
        difference = x[i] - x[j]
        square = difference.square().sum(1, keepdim=True)
        features = torch.cat([square, first], 1)
        h = _messages(layer.messages, h, features, i, j, edge_mask)
        x = x + _step(layer.step, h, features, difference, i, j, edge_mask)
    return (x * node_mask).view(batch, atoms, 3), (network.read(h) * node_mask).view(batch, atoms, -1)


def _edge_mlp(layer: Messages | CoordinateStep, edges: torch.Tensor) -> torch.Tensor:
    hidden = F.silu(nn.functional.linear(edges, layer.edge_in.weight, layer.edge_in.bias))
    return F.silu(layer.edge_out(hidden))


def _messages(layer: Messages, h: torch.Tensor, features: torch.Tensor | None, i: torch.Tensor, j: torch.Tensor,
              edge_mask: torch.Tensor) -> torch.Tensor:  # fmt: skip
    edges = [h[i], h[j]] + ([] if features is None else [features])
    m = _edge_mlp(layer, torch.cat(edges, 1))
    m = m * torch.sigmoid(layer.gate(m)) * edge_mask
    total = torch.zeros_like(h).index_add(0, i, m) / layer.norm
    return h + layer.node(torch.cat([h, total], 1))


def _step(layer: CoordinateStep, h: torch.Tensor, features: torch.Tensor, difference: torch.Tensor, i: torch.Tensor,
          j: torch.Tensor, edge_mask: torch.Tensor) -> torch.Tensor:  # fmt: skip
    scale = torch.tanh(layer.scale(_edge_mlp(layer, torch.cat([h[i], h[j], features], 1)))) * COORDINATE_RANGE
    direction = difference / ((features[:, :1] + 1e-8).sqrt() + 1)
    return h.new_zeros(len(h), 3).index_add(0, i, direction * scale * edge_mask) / layer.norm
