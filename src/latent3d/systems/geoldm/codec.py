"""Molecules to points with features, and back."""

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd
import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecules, from_list
from latent3d.data.molecules.perception import perceive_bonds
from latent3d.data.molecules.status import coordinate_status
from latent3d.diffusion.point_sampling import batches_by_size
from latent3d.graphs.point_clouds import read_clouds, to_molecules
from latent3d.nets.egnn import PAIRS_AT_ONCE, Backbone
from latent3d.systems import Encoded, Latents, Parts
from latent3d.systems.geoldm.models import load_autoencoder
from latent3d.systems.symmetry import relative_change


class PointCodec:
    """Positions and elements through z = [z_x, z_h] [M, N, 3 + k]; the graph is perceived from what comes out.

    Latents of other molecules have other points, so coordinates and graph have no latents of their own.
    """

    def __init__(self, backbone: Backbone, parts: Parts, run: Run) -> None:
        self.model, self.device = load_autoencoder(backbone, parts["autoencoder"], run.device), run.device
        self.latent_2d, self.latent_3d = self.model.latent * self.model.largest, 3 * self.model.largest

    @torch.no_grad()
    def encode(self, molecules: Molecules) -> Encoded:
        """The mean of the posterior, and the number of `atoms` [M]."""
        clouds, index = read_clouds(molecules, self.model.elements)
        atoms, there = torch.from_numpy(clouds.sizes), clouds.to(self.device)
        z = torch.zeros(len(atoms), clouds.sizes.max(initial=1), 3 + self.model.latent)
        for rows, width in self._batches(atoms):
            z[rows, :width] = self.model.encode(there.padded(rows)).cpu()
        return Encoded(index, [molecules[row] for row in index], {"z": z, "atoms": atoms}, clouds)

    @torch.no_grad()
    def decode(self, latents: Latents, generator: torch.Generator, given: Encoded | None = None) -> Molecules:
        """The likeliest elements, and coordinates. Nothing is random."""
        z, atoms = latents["z"], latents["atoms"]
        made = {}
        for rows, width in self._batches(atoms):
            mask = (torch.arange(width) < atoms[rows][:, None]).to(self.device)
            clouds = self.model.decode_clouds(z[rows, :width].to(self.device), mask)
            made |= dict(zip(rows.tolist(), to_molecules(clouds), strict=True))
        decoded = [made[row] for row in range(len(z))]
        if given is None:
            decoded = [perceive_bonds(molecule)[0] for molecule in decoded]
        else:
            decoded = [replace(m, positions=d.positions) for m, d in zip(given.molecules, decoded, strict=True)]
        return from_list(decoded, pd.DataFrame({"status": list(map(coordinate_status, decoded))}))

    @torch.no_grad()
    def change(self, encoded: Encoded, turn: torch.Tensor) -> float:
        """Of z, after turning z_x back."""
        clouds, z, found = encoded.read.to(self.device), encoded.latents["z"], torch.zeros(len(encoded.index))
        turn = turn.to(self.device)[None]
        for rows, width in self._batches(encoded.latents["atoms"]):
            turned = clouds.padded(rows).rotated(turn.expand(len(rows), 3, 3))
            z_turned = self.model.encode(turned)
            back = torch.cat([z_turned[..., :3] @ turn, z_turned[..., 3:]], -1)
            found[rows] = relative_change(z[rows, :width].to(self.device), back).cpu()
        return float(found.mean())

    def _batches(self, sizes: torch.Tensor) -> Iterator[tuple[torch.Tensor, int]]:
        """Rows of similar size, and the largest of them."""
        counts = sizes.numpy()
        for rows in batches_by_size(counts, PAIRS_AT_ONCE[self.device]):
            yield torch.tensor(rows), int(counts[rows].max())
