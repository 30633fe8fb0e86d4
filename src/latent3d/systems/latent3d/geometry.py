"""Geometric autoencoder: conformer given its graph -> z_3d -> conformer.

z_3d is a vector of fixed size: a few numbers for each place in the canonical order of heavy atoms (zero where a
molecule has fewer).

Decoder: sees the graph and z_3d, nothing else. A graph transformer proposes coordinates and predicts the distances of
all pairs at most three bonds apart; unrolled spring steps then pull the coordinates to these distances. The springs are
part of the network (trained through a few steps, run longer at inference), not a force field.
"""

import torch
from torch import nn

from latent3d.graphs.graph_batches import GraphBatch
from latent3d.nets.alignment import aligned_square_error
from latent3d.nets.conformer_encoder import NEAR_PATH, ConformerEncoder, pair_distances
from latent3d.nets.geometry_errors import frame_aligned_error, near_distance_error, near_pairs
from latent3d.nets.graph_embedding import MAX_NUMBER, GraphEmbedding
from latent3d.nets.precision import full_precision
from latent3d.nets.self_supervision import SelfSupervision
from latent3d.nets.slots import SlotCode, with_self_supervision
from latent3d.nets.transformer import TransformerBlock, padding_bias
from latent3d.systems.latent3d.settings import Geometry


class GeometricAutoencoder(nn.Module):
    """Conformers [B, N, 3] (angstrom) with their graphs to z_3d [B, latent] and back."""

    def __init__(self, max_heavy: int, settings: Geometry) -> None:
        super().__init__()
        self.beta = settings.beta
        self.spring_steps, self.spring_steps_inference = settings.spring_steps, settings.spring_steps_inference
        width, layers, heads = settings.width, settings.layers, settings.heads
        self.encoder = ConformerEncoder(max_heavy, width, layers - 1, heads)
        self.code = SlotCode(width, max_heavy, settings.atom_latent)
        self.latent = self.code.latent

        pair_width = width // 2
        self.decoder_embed = GraphEmbedding(width, pair_width, labels=max_heavy)
        self.pair_bias = nn.Linear(pair_width, heads * layers)
        self.decoder = nn.ModuleList(TransformerBlock(width, heads) for _ in range(layers))
        self.from_code = nn.Sequential(nn.Linear(settings.atom_latent, width), nn.GELU(), nn.Linear(width, width))
        self.norm = nn.LayerNorm(width)
        self.to_positions = nn.Linear(width, 3)
        self.pair_left, self.pair_right = nn.Linear(width, pair_width), nn.Linear(width, pair_width)
        self.pair_product = nn.Linear(width, pair_width)
        self.to_distance = nn.Sequential(
            nn.LayerNorm(pair_width), nn.Linear(pair_width, pair_width), nn.GELU(), nn.Linear(pair_width, 2)
        )
        self.reference_distance = nn.Embedding(16 * 4, 1)
        with torch.no_grad():
            self.reference_distance.weight.copy_(torch.tensor([1.0, 1.3, 2.3, 3.0]).repeat(16)[:, None])
        self.self_supervision = SelfSupervision(settings, self.code.latent, width, MAX_NUMBER)

    def encode(self, graphs: GraphBatch, positions: torch.Tensor) -> torch.Tensor:
        """z_3d [B, latent] of conformers [B, N, 3]: the mean of the posterior."""
        return self.code(self.encoder(graphs, positions), graphs).mean()

    def decode(
        self, graphs: GraphBatch, z: torch.Tensor, spring_steps: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Positions from graph and z_3d [B, latent] alone; no coordinate of any kind comes in.

        Returns:
            final positions [B, N, 3], the positions before the springs [B, N, 3], predicted distances [B, N, N]
            (meaningful where `near_pairs` holds), all in angstrom.
        """
        h, pairs = self.decoder_embed(graphs)
        biases = self.pair_bias(pairs).permute(0, 3, 1, 2).chunk(len(self.decoder), 1)
        slots = self.from_code(self.code.unpack(z))  # [B, heavy, D]
        # An atom gets the code of its slot, a hydrogen that of the atom which bears it.
        h = h + torch.gather(slots, 1, graphs.parents.long()[..., None].expand(-1, -1, slots.shape[2]))
        padding = padding_bias(graphs.mask)
        for block, bias in zip(self.decoder, biases, strict=True):
            h = block(h, bias + padding)
        h = self.norm(h)
        proposal = self.to_positions(h).float() * 2
        pair = self.pair_left(h)[:, :, None] + self.pair_right(h)[:, None] + pairs
        product = self.pair_product(h)
        pair = pair + product[:, :, None] * product[:, None]
        pair = pair + pair.transpose(1, 2)
        shift, stiffness = self.to_distance(pair).float().unbind(-1)
        path = graphs.paths.long().clamp(max=NEAR_PATH)
        distances = self.reference_distance(graphs.kinds.long() * 4 + path)[..., 0] + shift
        weights = near_pairs(graphs) * torch.exp(stiffness.clamp(-4, 4)) * (4.0 ** (1 - path))
        steps = self.spring_steps_inference if spring_steps is None else spring_steps
        return relax_springs(proposal, distances, weights, steps), proposal, distances

    def forward(
        self, graphs: GraphBatch, positions: torch.Tensor, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """Loss of one batch and its parts. positions [B, N, 3], angstrom."""
        states = self.encoder(graphs, positions)
        posterior = self.code(states, graphs)
        z, kl = posterior.draw(generator), posterior.kl()
        final, proposal, distances = self.decode(graphs, z, self.spring_steps)
        true = pair_distances(positions)
        aligned = aligned_square_error(final, positions, graphs.mask).mean()
        first = aligned_square_error(proposal, positions, graphs.mask).mean()
        springs, geometry = (near_distance_error(graphs, d, true) for d in (distances, pair_distances(final)))
        frames = frame_aligned_error(graphs, final, positions) + frame_aligned_error(graphs, proposal, positions)
        losses = {
            "loss": 0.5 * aligned + 0.25 * first + frames + 4 * springs + 4 * geometry + self.beta * kl,
            "kl": kl,
            "rmsd2": aligned,
            "frames": frames,
            "springs": springs,
            "distances": geometry,
        }

        def encode(graphs: GraphBatch, hidden: torch.Tensor) -> torch.Tensor:
            return self.encoder(graphs, positions, hidden)

        return with_self_supervision(self.self_supervision, losses, self.code, graphs, states, encode, generator)


def relax_springs(positions: torch.Tensor, distances: torch.Tensor, weights: torch.Tensor, steps: int) -> torch.Tensor:
    """Pull pairs towards their distances: damped Jacobi steps on the stress sum_ij w_ij (|x_i - x_j| - d_ij)^2.

    Each step moves an atom by the weighted mean of the displacements its springs ask for (one Guttman step of
    SMACOF with a diagonal approximation, de Leeuw 1977). Shapes [B, N, 3], [B, N, N], [B, N, N].
    """
    # Half the displacement to each end of a spring; the diagonal dominates, so the step cannot overshoot.
    share = weights / weights.sum(-1, keepdim=True).clamp(min=1e-6)
    with full_precision(positions):
        for _ in range(steps):
            d = pair_distances(positions)
            pull = share * (distances / d - 1)
            positions = positions + 0.75 * (pull.sum(-1, keepdim=True) * positions - pull @ positions)
    return positions
