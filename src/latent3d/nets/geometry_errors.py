"""Errors of predicted geometries that losses are made of."""

import torch

from latent3d.graphs.graph_batches import GraphBatch
from latent3d.nets.conformer_encoder import NEAR_PATH, local_positions


def frame_aligned_error(graphs: GraphBatch, predicted: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean distance, angstrom, between predicted and true atoms seen from the local frame of every atom.

    Unlike a global superposition it weighs every local environment alike, and it sees a wrong hand at once (FAPE,
    Jumper et al. 2021; here with the frames of the encoder).
    """
    pairs = graphs.mask[:, None] & graphs.mask[:, :, None]
    error = local_positions(graphs, predicted) - local_positions(graphs, true)
    return (error.square().sum(-1).add(1e-4).sqrt() * pairs).sum() / pairs.sum()


def near_distance_error(graphs: GraphBatch, distances: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean error, angstrom, of distances [B, N, N] of near pairs, halved with each further bond between them."""
    by_path = near_pairs(graphs) * (2.0 ** (1 - graphs.paths.clamp(max=NEAR_PATH).float()))
    return ((distances - true).abs() * by_path).sum() / by_path.sum()


def near_pairs(graphs: GraphBatch) -> torch.Tensor:
    """[B, N, N] float, 1 for pairs of different atoms at most NEAR_PATH bonds apart."""
    both = graphs.mask[:, None] & graphs.mask[:, :, None]
    return (both & (graphs.paths <= NEAR_PATH) & (graphs.paths > 0)).float()
