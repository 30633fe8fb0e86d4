"""Encoding and decoding of given molecules: how much the codes carry, and their symmetries."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecule, Molecules
from latent3d.nets.alignment import rotation_matrix
from latent3d.systems import Reconstruction
from latent3d.systems.ldm3dg.conformers import decode_conformers, encode_conformers
from latent3d.systems.ldm3dg.decoder import random_start
from latent3d.systems.ldm3dg.fitting import require_molecules
from latent3d.systems.ldm3dg.graphs import Graphs, read_graphs
from latent3d.systems.ldm3dg.models import load_geometry, load_topology
from latent3d.systems.ldm3dg.motif_trees import read_trees
from latent3d.systems.ldm3dg.topology import encode_trees


@torch.no_grad()
def reconstruct(weights: dict[str, Path], molecules: Molecules, run: Run) -> Reconstruction:
    """Encode and decode molecules: graphs through the 32-d mean; conformers through z_3d, given their true graphs.

    The released decoder reads the true coordinates beside z_3d, as its authors measured it: what it then makes says
    little of the code, which `shuffled` shows. Molecules that the vocabulary of motifs cannot express are left out.
    """
    topology, geometry = load_topology(weights["topology"], run.device), load_geometry(weights["geometry"], run.device)
    trees = read_trees(topology.vocabulary, molecules)
    both, of_trees, _ = np.intersect1d(trees.index, read_graphs(molecules).index, return_indices=True)
    reference = require_molecules([molecules[row] for row in both])
    graphs = read_graphs(reference).to(run.device)
    means = topology.mean(encode_trees(topology, trees)[of_trees].to(run.device))
    z_3d = encode_conformers(geometry, graphs)
    generator = torch.Generator().manual_seed(run.seed)
    starts = random_start(len(graphs.numbers), generator)
    others = z_3d[torch.randperm(len(z_3d), generator=generator).to(z_3d.device)]
    rotation = rotation_matrix(torch.randn(1, 4, generator=generator))[0].to(z_3d.device)

    def change(turn: torch.Tensor) -> float:
        turned = encode_conformers(geometry, _rotated(graphs, turn))
        return float(((turned - z_3d).norm(dim=1) / z_3d.norm(dim=1)).mean())

    def conformers(z: torch.Tensor) -> list[Molecule]:
        decoded = decode_conformers(geometry, graphs, z, starts)
        return [replace(molecule, positions=x) for molecule, x in zip(reference, decoded, strict=True)]

    return Reconstruction(
        index=both,
        reference=reference,
        graphs=topology.decode(means),
        conformers=conformers(z_3d),
        shuffled=conformers(others),
        latent_2d=means.shape[1],
        latent_3d=z_3d.shape[1],
        rotation_error=change(rotation),
        reflection_change=change(-torch.eye(3, device=z_3d.device)),
    )


def _rotated(graphs: Graphs, turn: torch.Tensor) -> Graphs:
    return replace(graphs, positions=graphs.positions @ turn.T)
