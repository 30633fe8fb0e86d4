"""Conformers in canonical order as flat arrays, and whole sets of them through an encoder."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from latent3d.data.molecules.molecules import Molecule, Molecules
from latent3d.graphs.graph_batches import Graphs
from latent3d.graphs.molecular_graphs import canonical_graph, order_hydrogens
from latent3d.graphs.ragged import RaggedTensor, by_size

ENCODED_AT_ONCE = 200
"""Molecules, of those that are small."""


@dataclass(frozen=True)
class Conformers:
    """M graphs with conformers, in canonical order.

    Attributes:
        graphs: M graphs.
        positions: [N, 3] of each, float32, angstrom, centred.
        mirrored: the mirror images with their hydrogens labelled anew.
        index: [M] row of each in the molecules they came from.
    """

    graphs: Graphs
    positions: RaggedTensor
    mirrored: RaggedTensor
    index: np.ndarray

    def __len__(self) -> int:
        return len(self.graphs)

    def to(self, device: str | torch.device) -> "Conformers":
        """The same on another device."""
        return Conformers(*(part.to(device) for part in (self.graphs, self.positions, self.mirrored)), self.index)

    def molecules(self) -> list[Molecule]:
        """The conformers as molecules of the data contract."""
        return [graph.to_molecule(x.numpy()) for graph, x in zip(self.graphs, self.positions, strict=True)]


def read_conformers(molecules: Molecules, max_heavy: float = math.inf, max_atoms: float = math.inf) -> Conformers:
    """Molecules with a usable graph (of at most so many heavy atoms, so many atoms) and finite coordinates."""
    graphs, positions, mirrored, index = [], [], [], []
    for i, molecule in enumerate(molecules):
        graph = canonical_graph(molecule)
        if graph is None or not np.isfinite(molecule.positions).all():
            continue
        if graph.heavy > max_heavy or len(graph) > max_atoms:
            continue
        x = molecule.positions[graph.source].astype(np.float64)
        x -= x.mean(0)
        graphs.append(graph)
        positions.append(x[order_hydrogens(graph, x)].astype(np.float32))
        mirrored.append(-x[order_hydrogens(graph, -x)].astype(np.float32))
        index.append(i)
    like = np.zeros((0, 3), np.float32)
    flat = (RaggedTensor.of(parts, like) for parts in (positions, mirrored))
    return Conformers(Graphs.of(graphs), *flat, np.array(index, np.int64))


@torch.no_grad()
def encode_conformers(
    model: nn.Module, conformers: Conformers, mirror: bool = False, positions: torch.Tensor | None = None
) -> torch.Tensor:
    """Codes [M, latent] on the CPU of all conformers, of their mirror images, or at other positions [A, 3].

    The model has `encode` of graphs and positions, and the width `latent` of its codes.
    """
    conformers = conformers.to(next(model.parameters()).device)
    x = conformers.mirrored if mirror else conformers.positions
    if positions is not None:
        x = RaggedTensor(positions.to(x.values.device), x.offsets)
    out = torch.zeros(len(conformers), model.latent)
    for rows in by_size(conformers.graphs.sizes, ENCODED_AT_ONCE):
        out[rows] = model.encode(conformers.graphs.padded(rows), x.padded(rows)).cpu()
    return out
