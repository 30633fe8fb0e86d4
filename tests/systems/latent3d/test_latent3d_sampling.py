"""What leads samples of latent3d, with the released weights: guides, and further decodings."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from asking import asked
from latent3d.base.errors import UserError
from latent3d.base.run import Run
from latent3d.commands.release import released_weights
from latent3d.data.molecules.molecules import from_list
from latent3d.graphs.conformers import encode_conformers, read_conformers
from latent3d.plan import Row, settings
from latent3d.systems import Context
from latent3d.systems.latent3d.conformers import decode_conformers
from latent3d.systems.latent3d.models import load_geometry, load_guided_prior
from latent3d.systems.latent3d.sampling import generator
from latent3d.training.weights import read_weights, write_safetensors

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
    for row, (molecule, true) in enumerate(zip(molecules, truth, strict=True)):
        [paths] = graphs.padded([row]).paths
        near = (paths > 0) & (paths <= 2)
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


def test_guides_of_another_schedule_are_refused(weights, tmp_path):
    state, metadata = read_weights(weights["guide_2d"])
    metadata["hyperparameters"]["schedule"] = "linear"
    other = {**weights, "guide_2d": tmp_path / "guide_2d.safetensors"}
    write_safetensors(other["guide_2d"], state, {"latent3d": json.dumps(metadata)})
    with pytest.raises(UserError, match=r"'cosine' and guide_2d\.schedule 'linear'"):
        load_guided_prior("2d", other, 3.0, "cpu")
    load_guided_prior("2d", other, 1.0, "cpu")


def test_a_chunk_without_a_usable_graph_is_a_chunk_of_failures(weights, monkeypatch):
    monkeypatch.setattr("latent3d.systems.latent3d.sampling.canonical_graph", lambda molecule: None)
    h = settings(Row(base="latent3d", overrides={"sampling": {"steps": 2}}), "sampling", "cpu")
    made = generator(weights, h, Context(), Run(0, Path()))(asked(range(3)))
    assert made.table["status"].tolist() == ["decode_failed"] * 3 and not any(len(molecule) for molecule in made)
