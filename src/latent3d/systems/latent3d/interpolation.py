"""The straight path between the codes of two molecules, decoded."""

from pathlib import Path

import numpy as np
import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import EMPTY, Molecule, Molecules
from latent3d.graphs.conformers import encode_conformers
from latent3d.graphs.molecular_graphs import canonical_graph, read_conformers
from latent3d.systems.latent3d.conformers import decode_usable
from latent3d.systems.latent3d.models import load_geometry, load_topology
from latent3d.systems.latent3d.topology import encode_graphs


def interpolate(
    weights: dict[str, Path], molecules: Molecules, places: np.ndarray, run: Run
) -> tuple[list[Molecule], list[str]]:
    """Frames between molecules 0 and 1, 2 and 3, ...: [pairs * places] molecules and their status.

    Both codes move on one straight line: z(t) = (1 - t) z_A + t z_B. z_2d(t) gives the graph, z_3d(t) its conformation.
    The line and not a great circle, since these codes are means of posteriors under a weak KL term and lie on no
    sphere: slots that a molecule does not have are zero, and the size of the others tells molecules apart.
    """
    topology, geometry = load_topology(weights["topology"], run.device), load_geometry(weights["geometry"], run.device)
    conformers = read_conformers(molecules, min(topology.grammar.max_atoms, geometry.code.heavy))
    found = {int(row): place for place, row in enumerate(conformers.index)}
    pairs = [pair for pair in range(len(molecules) // 2) if {2 * pair, 2 * pair + 1} <= set(found)]
    frames: list[Molecule] = [EMPTY] * (len(molecules) // 2 * len(places))
    status = ["not_encoded"] * len(frames)
    if not pairs:
        return frames, status
    start, end = (torch.tensor([found[2 * pair + which] for pair in pairs]) for which in (0, 1))
    t = torch.tensor(places, dtype=torch.float32)[None, :, None]

    def line(z: torch.Tensor) -> torch.Tensor:  # [molecules, latent] -> [pairs * places, latent]
        return torch.lerp(z[start][:, None], z[end][:, None], t).flatten(0, 1).to(run.device)

    z_2d, z_3d = line(encode_graphs(topology, conformers.graphs)), line(encode_conformers(geometry, conformers))
    graphs = [canonical_graph(molecule) for molecule in topology.decode(z_2d).molecules()]
    usable = [i for i, graph in enumerate(graphs) if graph is not None]
    decoded, reasons = decode_usable(geometry, graphs, z_3d[usable])
    for number, pair in enumerate(pairs):
        of_pair = slice(number * len(places), (number + 1) * len(places))
        there = slice(pair * len(places), (pair + 1) * len(places))
        frames[there], status[there] = decoded[of_pair], reasons[of_pair]
    return frames, status
