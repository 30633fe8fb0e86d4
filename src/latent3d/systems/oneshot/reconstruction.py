"""Encoding and decoding of given molecules: how much the one code carries, and its symmetries."""

from pathlib import Path

import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecules
from latent3d.graphs.conformers import encode_conformers
from latent3d.graphs.molecular_graphs import read_conformers, require_molecules
from latent3d.nets.alignment import rotation_matrix
from latent3d.systems import Reconstruction
from latent3d.systems.oneshot.models import load_autoencoder

BATCH = 200  # molecules decoded together


def reconstruct(weights: dict[str, Path], molecules: Molecules, run: Run) -> Reconstruction:
    """Encode and decode molecules. Coordinates are judged place by place, whatever atoms were decoded there.

    There is no decoding of a conformer of a given graph, hence none from the codes of other molecules. Molecules with
    more atoms or heavy atoms than any of training are left out of `index`.
    """
    model = load_autoencoder(weights["autoencoder"], run.device)
    conformers = require_molecules(read_conformers(molecules, model.max_heavy, model.places))
    z = encode_conformers(model, conformers)
    rotation = rotation_matrix(torch.randn(1, 4, generator=torch.Generator().manual_seed(run.seed)))[0]

    def change(**changed: torch.Tensor | bool) -> float:
        return float(((encode_conformers(model, conformers, **changed) - z).norm(dim=1) / z.norm(dim=1)).mean())

    decoded = [model.decode(part.to(run.device)) for part in z.split(BATCH)]
    places = torch.cat([x for _, x in decoded]).numpy()
    return Reconstruction(
        index=conformers.index,
        reference=[
            graph.to_molecule(x[: len(graph)].numpy())
            for graph, x in zip(conformers.graphs, conformers.positions, strict=True)
        ],
        graphs=[molecule for part, _ in decoded for molecule in part],
        conformers=[graph.to_molecule(x[: len(graph)]) for graph, x in zip(conformers.graphs, places, strict=True)],
        shuffled=None,
        latent_2d=model.latent,
        latent_3d=0,  # the same numbers
        rotation_error=change(positions=conformers.positions @ rotation.T),
        reflection_change=change(mirror=True),
    )
