"""One-shot autoencoder: graph and conformer -> one vector z -> all atoms, bonds and coordinates at once.

Encoder and decoder are built of latent3d's blocks; what is left out is its cascade (a graph first, then a conformer of
that graph), its slots (a few numbers per atom), its grammar and its springs. Nothing makes the decoded bonds fit the
valences of the decoded atoms.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from latent3d.data.molecules.molecules import Molecule
from latent3d.graphs.graph_batches import GraphBatch, Graphs
from latent3d.graphs.ragged import PAIRS_AT_ONCE
from latent3d.nets.alignment import aligned_square_error
from latent3d.nets.conformer_encoder import ConformerEncoder, pair_distances
from latent3d.nets.gaussian import GaussianCode, draw, kl_divergence
from latent3d.nets.geometry_errors import frame_aligned_error, near_distance_error
from latent3d.nets.transformer import TransformerBlock
from latent3d.systems.oneshot.settings import Autoencoder

ABSENT = 0
"""Class of a place that a molecule has no atom for."""
BOND_CLASSES = 4
"""No bond, and the orders 1 to 3 of a Kekule form."""


@dataclass(frozen=True)
class AtomClasses:
    """Elements with formal charges that molecules consist of: `kinds` [(number, charge)], classes 1, 2, ..."""

    kinds: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.kinds) + 1

    @classmethod
    def of(cls, graphs: Graphs) -> "AtomClasses":
        """Those that some molecules have."""
        found = np.unique(graphs.atoms.values[:, :2].numpy(), axis=0)
        return cls(tuple((number, charge) for number, charge in found.tolist()))

    def read(self, graphs: GraphBatch, places: int) -> torch.Tensor:
        """[B, places] classes of the atoms in canonical order, ABSENT after the last and for kinds that are unknown."""
        classes = torch.zeros(len(graphs), places, dtype=torch.long, device=graphs.mask.device)
        width = min(places, graphs.mask.shape[1])
        numbers, charges = graphs.numbers[:, :width], graphs.charges[:, :width]
        for place, (number, charge) in enumerate(self.kinds, 1):
            match = graphs.mask[:, :width] & (numbers == number) & (charges == charge)
            classes[:, :width][match] = place
        return classes

    def molecule(self, classes: np.ndarray, bonds: np.ndarray, positions: np.ndarray) -> Molecule:
        """A molecule of classes [N], bond orders [N, N] and positions [N, 3]; absent atoms are left out."""
        there = np.flatnonzero(classes != ABSENT)
        numbers, charges = np.array([self.kinds[classes[i] - 1] for i in there], np.int64).reshape(-1, 2).T
        orders = np.triu(bonds[np.ix_(there, there)], 1)
        i, j = np.nonzero(orders)
        return Molecule(
            numbers.astype(np.uint8),
            positions[there].astype(np.float32),
            np.stack([i, j], 1).astype(np.int16),
            orders[i, j].astype(np.uint8),
            charges.astype(np.int8),
        )


class OneShotAutoencoder(nn.Module):
    """Conformers [B, N, 3] (angstrom) with their graphs to z [B, latent], and z to molecules of <= `places` atoms."""

    def __init__(self, classes: AtomClasses, places: int, max_heavy: int, settings: Autoencoder) -> None:
        super().__init__()
        self.classes, self.places, self.max_heavy, self.latent = classes, places, max_heavy, settings.latent
        self.beta, self.position_weight = settings.beta, settings.position_weight
        latent, width, layers, heads = settings.latent, settings.width, settings.layers, settings.heads
        self.encoder = ConformerEncoder(max_heavy, width, layers, heads)
        self.code = GaussianCode(2 * width, 2 * width, latent)

        self.place = nn.Parameter(0.02 * torch.randn(places, width))
        self.from_code = nn.Sequential(nn.Linear(latent, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.decoder = nn.ModuleList(TransformerBlock(width, heads) for _ in range(layers))
        # Each place also reads the code for itself: what is common to all places is all that they would have else.
        self.own = nn.Linear(latent, places * (width // 8))
        self.own_in = nn.Linear(width // 8, width)
        self.norm = nn.LayerNorm(width)
        self.to_class, self.to_position = nn.Linear(width, len(classes)), nn.Linear(width, 3)
        self.pair_sum, self.pair_product = nn.Linear(width, width // 2), nn.Linear(width, width // 2)
        self.to_bond = nn.Sequential(nn.Linear(width // 2, width // 2), nn.GELU(), nn.Linear(width // 2, BOND_CLASSES))

    def posterior(self, graphs: GraphBatch, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance [B, latent] of z, from mean and maximum over the atoms."""
        h, mask = self.encoder(graphs, positions), graphs.mask[..., None]
        mean = (h * mask).sum(1) / mask.sum(1)
        return self.code(torch.cat([mean, h.masked_fill(~mask, -torch.inf).amax(1)], 1))

    def encode(self, graphs: GraphBatch, positions: torch.Tensor) -> torch.Tensor:
        """z [B, latent], the mean of the posterior."""
        return self.posterior(graphs, positions)[0]

    def predict(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """z [B, latent] -> logits of atoms [B, P, C] and of bonds [B, P, P, 4], positions [B, P, 3] of P places."""
        own = self.own_in(self.own(z).unflatten(1, (self.places, -1)))
        h = self.place + self.from_code(z)[:, None] + own
        for block in self.decoder:
            h = block(h, None)
        h = self.norm(h)
        left, product = self.pair_sum(h), self.pair_product(h)
        pairs = left[:, :, None] + left[:, None] + product[:, :, None] * product[:, None]
        return self.to_class(h).float(), self.to_bond(pairs).float(), 2 * self.to_position(h).float()

    def forward(
        self, graphs: GraphBatch, positions: torch.Tensor, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """Loss: nats per molecule of atoms and bonds, errors of positions, KL term; and its parts."""
        gaussian = self.posterior(graphs, positions)
        z, kl = draw(*gaussian, generator), kl_divergence(*gaussian)
        atom_logits, bond_logits, x = self.predict(z)
        width, count = graphs.mask.shape[1], len(z)
        classes = self.classes.read(graphs, self.places)
        atoms = F.cross_entropy(atom_logits.flatten(0, 1), classes.flatten(), reduction="sum") / count
        pairs = (graphs.mask[:, None] & graphs.mask[:, :, None]).triu(1)
        orders = graphs.orders.long().clamp(max=BOND_CLASSES - 1)
        bonds = F.cross_entropy(bond_logits[:, :width, :width].permute(0, 3, 1, 2), orders, reduction="none")
        bonds = (bonds * pairs).sum() / count
        x = x[:, :width]
        square = aligned_square_error(x, positions, graphs.mask).mean()
        frames = frame_aligned_error(graphs, x, positions)
        near = near_distance_error(graphs, pair_distances(x), pair_distances(positions))
        right = (atom_logits.argmax(-1) == classes).all(1)
        right &= ((bond_logits[:, :width, :width].argmax(-1) == orders) | ~pairs).all((1, 2))
        return {
            "loss": atoms + bonds + self.position_weight * (square + frames + 4 * near) + self.beta * kl,
            "atoms": atoms,
            "bonds": bonds,
            "rmsd2": square,
            "frames": frames,
            "distances": near,
            "kl": kl,
            "exact": right.float().mean(),
        }

    @torch.no_grad()
    def decode(self, z: torch.Tensor) -> tuple[list[Molecule], torch.Tensor]:
        """The likeliest atoms and bonds of codes [B, latent], one molecule each; positions of all places [B, P, 3]."""
        found = []
        for part in z.split(max(1, 2 * PAIRS_AT_ONCE // self.places**2)):
            atoms, bonds, x = self.predict(part)
            found.append((atoms.cpu(), bonds.argmax(-1).cpu(), x.cpu()))
        atoms, bonds, x = (torch.cat(parts) for parts in zip(*found, strict=True))
        # At least one atom: the likeliest of the first place.
        first = atoms[:, 0, ABSENT + 1 :].argmax(-1) + 1
        classes = atoms.argmax(-1)
        classes[:, 0] = torch.where(classes[:, 0] == ABSENT, first, classes[:, 0])
        arrays = (part.numpy() for part in (classes, bonds, x))
        return [self.classes.molecule(*parts) for parts in zip(*arrays, strict=True)], x
