"""What leads samples of latent3d, with the released weights: guides, and further decodings."""

import numpy as np
import pandas as pd
import pytest
import torch

from latent3d.molecules.molecules import from_list
from latent3d.systems.latent3d.conformers import decode_conformers, encode_conformers
from latent3d.systems.latent3d.graphs import read_conformers
from latent3d.systems.latent3d.models import load_geometry
from latent3d.training.release import released_weights

SMILES = [
    "CC(=O)OCC",
    "C1CC1CO",
    "N#CCC=O",
    "c1ccoc1",
    "CC(C)(C)O",
    "OCC1CN1",
    "C1CCOC1",
    "CNC(C)=O",
    "C#CCCO",
    "CC=CC=O",
]


@pytest.fixture(scope="module")
def weights():
    return released_weights("latent3d", "qm9_20k")


def pair_errors(molecules, truth, graphs):
    """Mean error, angstrom, of the distances of atoms at most two bonds apart."""
    errors = []
    for molecule, true, graph in zip(molecules, truth, graphs, strict=True):
        near = (graph.paths > 0) & (graph.paths <= 2)
        d, d_true = (np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (molecule.positions, true.positions))
        errors.append(np.abs(d - d_true)[near].mean())
    return np.mean(errors)


def test_a_second_decoding_mends_conformers_of_disturbed_codes(weights, from_smiles):
    model = load_geometry(weights["geometry"], "cpu")
    conformers = read_conformers(from_list([from_smiles(s) for s in SMILES], pd.DataFrame({"id": SMILES})))
    z = encode_conformers(model, conformers)
    disturbed = z + 0.5 * z.std() * torch.randn(z.shape, generator=torch.Generator().manual_seed(0)) * (z != 0)
    exact = decode_conformers(model, conformers.graphs, z)
    once, twice = (decode_conformers(model, conformers.graphs, disturbed, n) for n in (1, 2))
    errors = [pair_errors(made, exact, conformers.graphs) for made in (once, twice)]
    assert errors[1] < 0.8 * errors[0]
