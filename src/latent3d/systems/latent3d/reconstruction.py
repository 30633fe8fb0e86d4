"""Encoding and decoding of given molecules: how much the codes carry, and their symmetries."""

from pathlib import Path

import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecules
from latent3d.graphs.conformers import encode_conformers
from latent3d.graphs.molecular_graphs import read_conformers, require_molecules
from latent3d.systems import Reconstruction
from latent3d.systems.latent3d.conformers import decode_conformers
from latent3d.systems.latent3d.models import load_geometry, load_topology
from latent3d.systems.latent3d.topology import encode_graphs


def reconstruct(weights: dict[str, Path], molecules: Molecules, run: Run) -> Reconstruction:
    """Encode and decode molecules: graphs through z_2d; conformers through z_3d given their true graphs.

    Molecules with more heavy atoms than any of training have no place in the codes: they are left out of `index`.
    """
    topology, geometry = load_topology(weights["topology"], run.device), load_geometry(weights["geometry"], run.device)
    largest = min(topology.grammar.max_atoms, geometry.code.heavy)
    conformers = require_molecules(read_conformers(molecules, largest))
    z_2d = encode_graphs(topology, conformers.graphs).to(run.device)
    z_3d = encode_conformers(geometry, conformers).to(run.device)
    shuffled = z_3d[torch.randperm(len(z_3d), generator=torch.Generator().manual_seed(run.seed))]
    rotated = conformers.positions @ _random_rotation(run.seed)
    z_rotated = encode_conformers(geometry, conformers, positions=rotated).to(run.device)
    z_mirrored = encode_conformers(geometry, conformers, mirror=True).to(run.device)

    def relative(change: torch.Tensor) -> float:
        return float((change.norm(dim=1) / z_3d.norm(dim=1)).mean())

    return Reconstruction(
        index=conformers.index,
        reference=[
            graph.to_molecule(x[: len(graph)].numpy())
            for graph, x in zip(conformers.graphs, conformers.positions, strict=True)
        ],
        graphs=[m for i in range(0, len(z_2d), 500) for m in topology.decode(z_2d[i : i + 500]).molecules()],
        conformers=decode_conformers(geometry, conformers.graphs, z_3d),
        shuffled=decode_conformers(geometry, conformers.graphs, shuffled),
        latent_2d=z_2d.shape[1],
        latent_3d=z_3d.shape[1],
        rotation_error=relative(z_rotated - z_3d),
        reflection_change=relative(z_mirrored - z_3d),
    )


def _random_rotation(seed: int) -> torch.Tensor:
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(seed)))
    return q * torch.det(q)
