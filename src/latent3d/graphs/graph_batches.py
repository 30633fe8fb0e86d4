"""Molecular graphs of a whole data set as flat arrays, and batches of them padded to their largest."""

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import torch

from latent3d.base.errors import UserError
from latent3d.data.molecules.molecules import Molecule
from latent3d.graphs.molecular_graphs import ATOM_COLUMNS, AtomColumns, Graph, canonical_graph
from latent3d.graphs.ragged import RaggedTensor, Rows

MAX_PATH = 7
"""Bonds; longer shortest paths share one class."""

Found = TypeVar("Found", bound=Sized)


@dataclass(frozen=True)
class GraphBatch(AtomColumns[torch.Tensor]):
    """B graphs padded to N atoms: what networks see.

    Attributes:
        atoms: [B, N, columns] int16, see `AtomColumns`; zero at padding.
        kinds: [B, N, N] uint8 of the bonds (see `Graph`), 0 where there is none.
        paths: [B, N, N] uint8, shortest path in bonds, at most MAX_PATH; that at padding.
        mask: [B, N] bool, True for atoms.
    """

    atoms: torch.Tensor
    kinds: torch.Tensor
    paths: torch.Tensor
    mask: torch.Tensor

    def __len__(self) -> int:
        return len(self.mask)

    @property
    def orders(self) -> torch.Tensor:
        """[B, N, N] Kekule bond orders, 0 where not bonded."""
        return self.kinds & 3


@dataclass(frozen=True)
class Graphs:
    """M graphs as flat arrays: `atoms`, `bonds` and `source` of each (see `Graph`) one after the other.

    Matrices over pairs of atoms are made for a batch at a time: for a molecule of 44 atoms one array of bytes would
    take as much memory as everything here.
    """

    atoms: RaggedTensor
    bonds: RaggedTensor
    source: RaggedTensor

    @classmethod
    def of(cls, graphs: Iterable[Graph]) -> "Graphs":
        """Graphs one after the other."""
        graphs = list(graphs)
        return cls(
            RaggedTensor.of([graph.atoms for graph in graphs], np.zeros((0, ATOM_COLUMNS), np.int16)),
            RaggedTensor.of([graph.bonds for graph in graphs], np.zeros((0, 3), np.int16)),
            RaggedTensor.of([graph.source for graph in graphs], np.zeros(0, np.int16)),
        )

    def __len__(self) -> int:
        return len(self.atoms)

    def __getitem__(self, index: int) -> Graph:
        return Graph(**{field.name: getattr(self, field.name)[index].numpy() for field in fields(self)})

    def __iter__(self) -> Iterator[Graph]:
        return (self[index] for index in range(len(self)))

    @property
    def sizes(self) -> np.ndarray:
        """[M] number of atoms."""
        return self.atoms.counts

    def to(self, device: str | torch.device) -> "Graphs":
        """The same on another device."""
        return Graphs(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    def take(self, rows: Rows) -> "Graphs":
        """Some of the graphs."""
        return Graphs(**{field.name: getattr(self, field.name).take(rows) for field in fields(self)})

    def heavy(self) -> "Graphs":
        """The same graphs without hydrogens (valences keep counting them)."""
        is_heavy = self.atoms.values[:, 4].numpy() == 0  # no ordinal
        atoms = self.atoms.where(is_heavy)
        # Heavy atoms come first, so that indices stay; the second atom of a bond is the later one.
        bonded = self.bonds.values[:, 1].numpy() < np.repeat(atoms.counts, self.bonds.counts)
        return Graphs(atoms, self.bonds.where(bonded), self.source.where(is_heavy))

    def padded(self, rows: Rows | None = None) -> GraphBatch:
        """The graphs at `rows` (all without) as a batch on the same device; nothing is read back from there."""
        atoms, mask = self.atoms.padded(rows), self.atoms.mask(rows)
        i, j, kind = self.bonds.padded(rows).long().unbind(-1)  # padding: kind 0 from atom 0 to itself
        kinds = torch.zeros(*mask.shape, mask.shape[1], dtype=torch.uint8, device=mask.device)
        graph = torch.arange(len(mask), device=mask.device)[:, None]
        kinds[graph, i, j] = kinds[graph, j, i] = kind.byte()
        return GraphBatch(atoms, kinds, shortest_paths(kinds > 0, mask), mask)


def shortest_paths(bonded: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """[B, N, N] uint8 bonds from atom to atom, MAX_PATH where it takes more, and at padding.

    Args:
        bonded: [B, N, N] bool.
        mask: [B, N] True for atoms.
    """
    within = torch.diag_embed(mask.float())
    step = bonded.float() + within
    paths = MAX_PATH - within.byte()
    # A pair loses one for every number of bonds that suffices: powers of the adjacency matrix tell.
    for _ in range(MAX_PATH - 1):
        within = (within @ step > 0).float()
        paths -= within.byte()
    return paths


def read_graphs(molecules: Iterable[Molecule]) -> Graphs:
    """The canonical graphs of all molecules that have a usable one."""
    return Graphs.of(graph for graph in map(canonical_graph, molecules) if graph is not None)


def require_molecules(found: Found) -> Found:
    """The same graphs or conformers, or a plain error where the dataset has none."""
    if not len(found):
        raise UserError("The dataset has no molecule with a usable bond graph. Check its bonds and hydrogens.")
    return found
