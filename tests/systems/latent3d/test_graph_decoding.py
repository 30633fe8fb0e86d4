"""Greedy decoding that remembers keys and values, against plain_decoding.py, which reads every sentence again."""

from pathlib import Path

import numpy as np
import plain_decoding
import pytest
import torch

from latent3d.commands.release import released_weights
from latent3d.data.molecules.parquet import read_parquet
from latent3d.evaluation.geometry.reconstruction import exact_match_2d
from latent3d.graphs.graph_batches import Graphs, read_graphs
from latent3d.systems.latent3d.grammar import Grammar
from latent3d.systems.latent3d.models import load_topology
from latent3d.systems.latent3d.settings import Topology
from latent3d.systems.latent3d.topology import TopologicalAutoencoder, decode_graphs, encode_graphs

MINI = Path(__file__).parents[3] / "resources" / "mini.parquet"
SMALL = Topology(atom_latent=4, width=32, layers=2, heads=4)
STATE = ("kinds", "open", "orders", "atoms", "charge", "done")


def assert_same(found, expected):
    for name in STATE:
        assert torch.equal(getattr(found, name), getattr(expected, name)), name


@pytest.mark.parametrize("disturbance", [0.0, 1.0])
def test_released_weights_give_the_same_graphs(disturbance):
    model = load_topology(released_weights("latent3d", "qm9_cpu")["topology"], "cpu")
    mini = read_parquet(MINI)
    some = read_graphs(mini.take(np.random.default_rng(0).permutation(len(mini))[:150]))
    graphs = Graphs.of(graph for graph in some if set(Grammar.of([graph]).types) <= set(model.grammar.types))
    z = encode_graphs(model, graphs)
    z = z + disturbance * z.std() * torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    found = model.decode(z)
    assert_same(found, plain_decoding.decode(model, z))
    assert len({int(n) for n in found.atoms}) > 2  # not all are finished together
    if not disturbance:
        molecules = [graph.to_molecule(np.zeros((len(graph), 3))) for graph in graphs]
        matches = [exact_match_2d(*pair) for pair in zip(molecules, found.molecules(), strict=True)]
        assert len(matches) > 100 and np.mean(matches) > 0.8


def test_large_molecules_of_untrained_weights_are_the_same():
    torch.manual_seed(0)
    types = ((6, 0, 4), (7, 0, 3), (7, 1, 4), (8, -1, 1), (8, 0, 2), (9, 0, 1), (16, 0, 6))
    model = TopologicalAutoencoder(Grammar(types, 40), SMALL).eval()
    z = 3 * torch.randn(24, model.code.latent, generator=torch.Generator().manual_seed(0))
    found = model.decode(z)
    assert_same(found, plain_decoding.decode(model, z))
    assert found.atoms.max() > 30


def test_many_codes_are_decoded_in_parts(monkeypatch):
    torch.manual_seed(0)
    model = TopologicalAutoencoder(Grammar(((6, 0, 4), (8, 0, 2)), 6), SMALL).eval()
    z = 3 * torch.randn(20, model.code.latent, generator=torch.Generator().manual_seed(0))
    whole, sizes, decode = decode_graphs(model, z), [], TopologicalAutoencoder.decode
    monkeypatch.setattr(TopologicalAutoencoder, "decode", lambda self, z: sizes.append(len(z)) or decode(self, z))
    monkeypatch.setattr("latent3d.systems.latent3d.topology.TOKENS_AT_ONCE", 7 * (6 + 25))
    for molecule, expected in zip(decode_graphs(model, z), whole, strict=True):
        assert np.array_equal(molecule.bonds, expected.bonds)
        assert np.array_equal(molecule.atomic_numbers, expected.atomic_numbers)
    assert sizes == [7, 7, 6]
