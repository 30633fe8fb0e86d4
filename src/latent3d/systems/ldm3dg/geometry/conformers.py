"""Whole sets of conformers through the geometric autoencoder, and the coordinates that its released decoder reads."""

from dataclasses import replace

import numpy as np
import torch
from rdkit.Chem import rdDepictor

from latent3d.data.molecules.embedding import embed
from latent3d.data.molecules.molecules import Molecule
from latent3d.data.molecules.rdkit import sanitised
from latent3d.systems.ldm3dg.geometry.autoencoder import GeometricAutoencoder
from latent3d.systems.ldm3dg.geometry.graphs import EdgeGraphs

BATCH = 100  # molecules encoded or decoded together


@torch.no_grad()
def encode_conformers(model: GeometricAutoencoder, graphs: EdgeGraphs) -> torch.Tensor:
    """z_3d [M, code] of all conformers, on the device of `graphs`."""
    codes = [model.encoder(graphs.select(rows)).float() for rows in _batches(graphs)]
    return torch.cat(codes) if codes else torch.zeros(0, model.code, device=graphs.atoms.values.device)


@torch.no_grad()
def decode_conformers(
    model: GeometricAutoencoder, graphs: EdgeGraphs, z: torch.Tensor, starts: torch.Tensor
) -> list[np.ndarray]:
    """Positions [N, 3] of all graphs from codes [M, code] and random starts [A, 3] in (-1, 1)^3 of all their atoms.

    The released decoder reads the positions of `graphs`; the prior branch does not.
    """
    out: list[np.ndarray] = []
    for rows in _batches(graphs):
        first, last = rows[0], rows[-1] + 1
        atoms = slice(graphs.atoms.offsets[first], graphs.atoms.offsets[last])
        x = model.decoder(graphs.select(rows), z[first:last], starts[atoms].to(z.device))
        out += np.split(x.float().cpu().numpy(), np.cumsum(graphs.sizes[rows])[:-1])
    return out


def _batches(graphs: EdgeGraphs) -> list[np.ndarray]:
    rows = np.arange(len(graphs))
    return [rows[begin : begin + BATCH] for begin in range(0, len(rows), BATCH)]


def with_start_coordinates(molecule: Molecule, start: str, seed: int) -> Molecule:
    """The graph with coordinates to be read by the decoder: of ETKDG, or of a plane drawing where that fails.

    Args:
        molecule: a graph that RDKit can sanitise; its own positions are not used.
        start: `etkdg`, or `layout` for the drawing in any case.
        seed: of ETKDG.
    """
    if start == "etkdg":
        embedded, status = embed(molecule, seed)
        if status == "ok":
            return embedded
    mol = sanitised(replace(molecule, positions=np.full((len(molecule), 3), np.nan, np.float32)))
    if mol is None:
        return molecule
    rdDepictor.Compute2DCoords(mol)
    return replace(molecule, positions=mol.GetConformer().GetPositions().astype(np.float32))
