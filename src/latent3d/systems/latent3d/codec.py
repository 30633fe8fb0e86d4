"""Molecules to z_2d and z_3d, and back."""

import pandas as pd
import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecules, from_list
from latent3d.graphs.conformers import encode_conformers, read_conformers
from latent3d.graphs.molecular_graphs import canonical_graph
from latent3d.systems import Encoded, Latents, Parts
from latent3d.systems.latent3d.conformers import decode_usable
from latent3d.systems.latent3d.models import load_geometry, load_topology
from latent3d.systems.latent3d.topology import decode_graphs, encode_graphs
from latent3d.systems.symmetry import encode_turned, relative_change


class CascadeCodec:
    """Graphs through z_2d; conformers through z_3d given their graphs.

    Molecules with more heavy atoms than any of training have no place in the latents.
    """

    def __init__(self, parts: Parts, run: Run) -> None:
        self.topology = load_topology(parts["topology"], run.device)
        self.geometry = load_geometry(parts["geometry"], run.device)
        self.latent_2d, self.latent_3d, self.device = self.topology.code.latent, self.geometry.latent, run.device

    def encode(self, molecules: Molecules) -> Encoded:
        """The means of both posteriors."""
        conformers = read_conformers(molecules, min(self.topology.grammar.max_atoms, self.geometry.code.heavy))
        z_2d, z_3d = encode_graphs(self.topology, conformers.graphs), encode_conformers(self.geometry, conformers)
        return Encoded(conformers.index, conformers.molecules(), {"z_2d": z_2d, "z_3d": z_3d}, conformers)

    def decode(self, latents: Latents, generator: torch.Generator, given: Encoded | None = None) -> Molecules:
        """The likeliest graphs of z_2d (or those given), and their conformers from z_3d. Nothing is random."""
        z_2d, z_3d = (latents[name].to(self.device) for name in ("z_2d", "z_3d"))
        if given is None:
            graphs = [canonical_graph(molecule) for molecule in decode_graphs(self.topology, z_2d)]
        else:
            graphs = list(given.read.graphs)
        usable = [i for i, graph in enumerate(graphs) if graph is not None]
        made, status = decode_usable(self.geometry, graphs, z_3d[usable])
        return from_list(made, pd.DataFrame({"status": status}))

    def change(self, encoded: Encoded, turn: torch.Tensor) -> float:
        """Of z_3d."""
        return float(relative_change(encoded.latents["z_3d"], encode_turned(self.geometry, encoded.read, turn)).mean())
