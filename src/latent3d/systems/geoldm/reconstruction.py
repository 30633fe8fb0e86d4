"""Encoding and decoding of given molecules: how much the codes carry, and their symmetries."""

from dataclasses import replace
from pathlib import Path

import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecules
from latent3d.data.molecules.perception import perceive_bonds
from latent3d.diffusion.point_sampling import batches_by_size
from latent3d.graphs.point_clouds import PointCloudBatch, read_clouds, to_molecules
from latent3d.nets.alignment import rotation_matrix
from latent3d.nets.egnn import PAIRS_AT_ONCE, Backbone
from latent3d.systems import Reconstruction
from latent3d.systems.geoldm.models import load_autoencoder


@torch.no_grad()
def reconstruct(backbone: Backbone, weights: dict[str, Path], molecules: Molecules, run: Run) -> Reconstruction:
    """Encode molecules to the means of their codes and decode them; the graph is perceived from what comes out.

    The codes of other molecules have other points, so there is no decoding from shuffled codes.
    """
    model = load_autoencoder(backbone, weights["autoencoder"], run.device)
    clouds, index = read_clouds(molecules, model.elements)
    sizes = clouds.sizes.numpy()
    generator = torch.Generator().manual_seed(run.seed)
    rotation = rotation_matrix(torch.randn(1, 4, generator=generator)).to(run.device)
    decoded, changes = {}, {name: torch.zeros(len(clouds)) for name in ("rotation", "reflection")}
    for rows in batches_by_size(sizes, PAIRS_AT_ONCE[run.device]):
        batch = clouds.take(torch.tensor(rows), int(sizes[rows].max())).to(run.device)
        z = model.encode(batch)
        decoded |= dict(zip(rows, to_molecules(model.decode_clouds(z, batch.mask)), strict=True))
        for name, turn in (("rotation", rotation), ("reflection", -torch.eye(3, device=run.device)[None])):
            changes[name][rows] = _change(z, model.encode(_turned(batch, turn)), turn).cpu()
    reference = [molecules[row] for row in index]
    return Reconstruction(
        index=index,
        reference=reference,
        graphs=[perceive_bonds(decoded[row])[0] for row in range(len(clouds))],
        conformers=[replace(molecule, positions=decoded[row].positions) for row, molecule in enumerate(reference)],
        shuffled=None,
        latent_2d=model.latent * model.largest,
        latent_3d=3 * model.largest,
        rotation_error=float(changes["rotation"].mean()),
        reflection_change=float(changes["reflection"].mean()),
    )


def _turned(clouds: PointCloudBatch, rotation: torch.Tensor) -> PointCloudBatch:
    return clouds.rotated(rotation.expand(len(clouds), 3, 3))


def _change(z: torch.Tensor, z_turned: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """[B] relative change of the codes when the molecule is turned, after turning z_x back."""
    back = torch.cat([z_turned[..., :3] @ turn, z_turned[..., 3:]], -1)
    return (back - z).flatten(1).norm(dim=1) / z.flatten(1).norm(dim=1)
