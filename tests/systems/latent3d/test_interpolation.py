"""Paths between codes, with networks as they are drawn: what is decoded where, and what cannot be."""

import numpy as np
import pytest
import torch

from latent3d.base.run import Run
from latent3d.commands.interpolate import PLACES, interpolate, write_interpolation
from latent3d.data.molecules.molecules import from_list
from latent3d.data.molecules.parquet import read_metadata, read_parquet, write_parquet
from latent3d.data.molecules.rdkit import canonical_smiles, to_rdkit
from latent3d.graphs.molecular_graphs import canonical_graph
from latent3d.plan import Row, settings
from latent3d.systems.latent3d.geometry import GeometricAutoencoder
from latent3d.systems.latent3d.grammar import Grammar
from latent3d.systems.latent3d.system import codec
from latent3d.systems.latent3d.topology import TopologicalAutoencoder
from latent3d.training.weights import write_weights

SMILES = ["CCO", "CC(=O)O", "C[C@H](N)O", "C1CC1", "CNC", "C#N"]
SMALL = {"width": 32, "layers": 2, "heads": 4}


@pytest.fixture(scope="module")
def molecules(from_smiles):
    return [from_smiles(text) for text in SMILES]


@pytest.fixture(scope="module")
def weights(tmp_path_factory, molecules):
    """Weights files of both autoencoders, untrained; the largest molecule they know has four heavy atoms."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    h = {
        stage: settings(Row(base="latent3d", overrides={stage: SMALL}), stage, "quick")
        for stage in ("topology", "geometry")
    }
    grammar = Grammar.of([canonical_graph(molecule) for molecule in molecules])
    topology, geometry = TopologicalAutoencoder(grammar, h["topology"]), GeometricAutoencoder(4, h["geometry"])
    files = {stage: folder / f"{stage}.safetensors" for stage in h}
    more = {"types": grammar.types, "max_atoms": grammar.max_atoms}
    known = {stage: settings.model_dump() for stage, settings in h.items()}
    write_weights(files["topology"], topology.state_dict(), "latent3d", "topology", known["topology"], **more)
    write_weights(files["geometry"], geometry.state_dict(), "latent3d", "geometry", known["geometry"], max_heavy=4)
    return files


def smiles(frames):
    return [canonical_smiles(to_rdkit(frame)) for frame in frames]


def test_ends_are_what_the_codes_of_the_molecules_decode_to(weights, molecules, tmp_path):
    of_weights = codec(weights, Run(0, tmp_path))
    ends = from_list(molecules)
    frames, status = interpolate(of_weights, ends, np.array([0.0, 1.0]), 0)
    assert status == ["ok"] * len(molecules)
    latents = of_weights.encode(ends).latents
    assert smiles(frames) == smiles(of_weights.decode(latents, torch.Generator()))


def test_a_path_back_has_the_same_frames_and_one_to_itself_stands_still(weights, molecules, tmp_path):
    a, b = molecules[0], molecules[1]
    places = np.linspace(0, 1, 5)
    frames, _ = interpolate(codec(weights, Run(0, tmp_path)), from_list([a, b, b, a, a, a]), places, 0)
    there, back, still = frames[:5], frames[5:10], frames[10:]
    assert smiles(there) == smiles(back)[::-1]
    for one, other in zip(there, back[::-1], strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-3)
    for frame in still:
        np.testing.assert_allclose(frame.positions, still[0].positions, atol=1e-3)


def test_a_pair_with_a_molecule_that_has_no_place_in_the_codes_fails_by_name_alone(
    weights, molecules, from_smiles, tmp_path
):
    ends = from_list([molecules[0], from_smiles("c1ccccc1"), molecules[0], molecules[1]])
    frames, status = interpolate(codec(weights, Run(0, tmp_path)), ends, np.array([0.0, 0.5, 1.0]), 0)
    assert status == ["not_encoded"] * 3 + ["ok"] * 3
    assert [len(frame) > 0 for frame in frames] == [False] * 3 + [True] * 3
    alone, _ = interpolate(codec(weights, Run(0, tmp_path)), from_list(molecules[:2]), np.array([0.0, 0.5, 1.0]), 0)
    assert smiles(frames[3:]) == smiles(alone)


def test_the_file_holds_pairs_of_test_molecules_with_the_path_between(weights, dataset, tmp_path):
    data = tmp_path / "dataset.parquet"
    write_parquet(data, dataset)
    write_interpolation("latent3d", weights, data, Run(0, tmp_path), tmp_path / "a.parquet")
    write_interpolation("latent3d", weights, data, Run(0, tmp_path), tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    strips = read_parquet(tmp_path / "a.parquet")
    # Four test molecules are two pairs; each has both of its ends, once.
    table = strips.table
    assert table["pair"].tolist() == sorted([0, 1] * (len(PLACES) + 2))
    held_out = strips.take((table["origin"] == "held_out").to_numpy())
    assert sorted(smiles(held_out)) == sorted(smiles(dataset.split("test")))
    np.testing.assert_allclose(table["place"][table["origin"] == "decoded"], np.tile(PLACES, 2))
    assert table["place"][table["origin"] == "held_out"].isna().all()
    assert set(read_metadata(tmp_path / "a.parquet")["weights_sha256"]) == {"topology", "geometry"}


def test_ends_that_have_no_place_at_all(weights, from_smiles, tmp_path):
    ends = from_list([from_smiles("c1ccccc1")] * 2)
    frames, status = interpolate(codec(weights, Run(0, tmp_path)), ends, np.array([0.0, 1.0]), 0)
    assert status == ["not_encoded"] * 2 and not any(map(len, frames))
