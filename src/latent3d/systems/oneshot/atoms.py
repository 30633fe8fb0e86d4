"""Atoms, bonds and places of a molecule as classes to be predicted all at once, and the way back."""

from dataclasses import dataclass

import numpy as np
import torch

from latent3d.data.molecules.molecules import Molecule
from latent3d.graphs.graph_batches import GraphBatch, Graphs

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
