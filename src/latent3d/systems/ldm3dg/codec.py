"""Molecules to z_2d and z_3d, and back."""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecules, from_list
from latent3d.data.molecules.status import coordinate_status
from latent3d.systems import Encoded, Latents, Parts
from latent3d.systems.ldm3dg.geometry.conformers import decode_conformers, encode_conformers
from latent3d.systems.ldm3dg.geometry.decoder import random_start
from latent3d.systems.ldm3dg.geometry.graphs import read_edge_graphs
from latent3d.systems.ldm3dg.models import load_geometry, load_topology
from latent3d.systems.ldm3dg.topology.autoencoder import encode_trees
from latent3d.systems.ldm3dg.topology.trees import read_trees
from latent3d.systems.symmetry import relative_change


class MotifCodec:
    """Graphs through the mean of z_2d that decoding reads; conformers through z_3d, given their graphs.

    The released decoder reads the true coordinates beside z_3d, as its authors measured it: what it then makes says
    little of the latents, which those of other molecules show. Molecules that the vocabulary of motifs cannot express
    have no z_2d.
    """

    def __init__(self, parts: Parts, run: Run) -> None:
        self.topology = load_topology(parts["topology"], run.device)
        self.geometry = load_geometry(parts["geometry"], run.device)
        self.latent_2d, self.latent_3d = self.topology.to_mean.out_features, self.geometry.code
        self.device = run.device

    @torch.no_grad()
    def encode(self, molecules: Molecules) -> Encoded:
        """Of the graphs the mean before the bottleneck's noise; of the conformers z_3d."""
        trees = read_trees(self.topology.vocabulary, molecules)
        both, of_trees, _ = np.intersect1d(trees.index, read_edge_graphs(molecules).index, return_indices=True)
        reference = [molecules[row] for row in both]
        graphs = read_edge_graphs(reference).to(self.device)
        z_2d = self.topology.mean(encode_trees(self.topology, trees)[of_trees].to(self.device))
        return Encoded(both, reference, {"z_2d": z_2d, "z_3d": encode_conformers(self.geometry, graphs)}, graphs)

    @torch.no_grad()
    def decode(self, latents: Latents, generator: torch.Generator, given: Encoded | None = None) -> Molecules:
        """Graphs of z_2d, without coordinates, since the released decoder reads some; or conformers of given graphs.

        Conformers start at random positions.
        """
        if given is None:
            made = self.topology.decode(latents["z_2d"])
        else:
            starts = random_start(given.read.sizes.sum(), generator)
            found = decode_conformers(self.geometry, given.read, latents["z_3d"], starts)
            made = [replace(molecule, positions=x) for molecule, x in zip(given.molecules, found, strict=True)]
        return from_list(made, pd.DataFrame({"status": list(map(coordinate_status, made))}))

    def change(self, encoded: Encoded, turn: torch.Tensor) -> float:
        """Of z_3d."""
        positions = encoded.read.positions
        turned = replace(encoded.read, positions=positions.with_values(positions.values @ turn.to(positions.values).T))
        return float(relative_change(encoded.latents["z_3d"], encode_conformers(self.geometry, turned)).mean())
