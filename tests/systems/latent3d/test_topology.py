from dataclasses import replace

import pytest
import torch

from latent3d.data.molecules.rdkit import canonical_smiles, sanitised
from latent3d.graphs.graph_batches import read_graphs
from latent3d.systems.latent3d.grammar import Grammar
from latent3d.systems.latent3d.sequences import read_sequences
from latent3d.systems.latent3d.settings import Topology
from latent3d.systems.latent3d.topology import TopologicalAutoencoder, encode_graphs

SMILES = ["CCO", "CCN", "c1ccncc1", "CC(=O)O", "C1CC1", "C#N", "CF", "C[N+](=O)[O-]"]


@pytest.fixture(scope="module")
def graphs(from_smiles):
    return read_graphs([from_smiles(s) for s in SMILES])


def autoencoder(graphs):
    torch.manual_seed(0)
    return TopologicalAutoencoder(Grammar.of(graphs), Topology(atom_latent=4, width=64, layers=2, heads=4, beta=0.01))


def test_overfits_a_few_molecules_and_decodes_them_exactly(graphs):
    model = autoencoder(graphs)
    sequences = read_sequences(model.grammar, graphs).padded()
    batch = graphs.heavy().padded()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(250):
        loss = model(batch, sequences, generator)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    decoded = model.decode(encode_graphs(model, graphs)).molecules()
    assert [canonical_smiles(sanitised(m)) for m in decoded] == [
        canonical_smiles(sanitised(g.to_molecule(torch.zeros(len(g), 3).numpy()))) for g in graphs
    ]


def test_any_code_decodes_to_a_valid_molecule(graphs):
    model = autoencoder(graphs).eval()
    z = 3 * torch.randn(300, model.code.latent, generator=torch.Generator().manual_seed(0))
    builder = model.decode(z)
    assert builder.done.all()
    assert (builder.charge == 0).all()
    assert all(sanitised(molecule) is not None for molecule in builder.molecules())


def test_predictions_see_only_earlier_actions(graphs):
    model = autoencoder(graphs).eval()
    s = read_sequences(model.grammar, graphs).padded()
    z = torch.randn(len(graphs), model.code.latent, generator=torch.Generator().manual_seed(0))
    changed = s.tokens.clone()
    changed[:, 3:] = 2
    features = s.features.clone()
    features[:, 4:] = 0
    before, after = model.predict(z, s.tokens, s.features), model.predict(z, changed, features)
    torch.testing.assert_close(before[:, :4], after[:, :4], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(before[:, 4:], after[:, 4:], atol=1e-3)


def test_codes_are_those_of_the_graph_and_not_of_padding(graphs):
    model = autoencoder(graphs).eval()
    together = encode_graphs(model, graphs)
    alone = torch.cat([encode_graphs(model, graphs.take([row])) for row in range(len(graphs))])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    heavy = torch.tensor([graph.heavy for graph in graphs])
    empty = torch.arange(model.grammar.max_atoms)[None] >= heavy[:, None]
    assert (model.code.unpack(together)[empty] == 0).all()


@pytest.mark.parametrize("method", ["global_local", "two_view", "masked_attributes"])
def test_self_supervision_trains_the_encoder_and_not_the_decoder(graphs, method):
    torch.manual_seed(0)
    term = {"self_supervision": method, "self_supervision_weight": 0.5}
    settings = Topology(atom_latent=4, width=64, layers=2, heads=4, beta=0.01, **term)
    model = TopologicalAutoencoder(Grammar.of(graphs), settings)
    sequences = read_sequences(model.grammar, graphs).padded()
    found = model(graphs.heavy().padded(), sequences, torch.Generator().manual_seed(0))
    expected = found["nll"] + 0.01 * found["kl"] + 0.5 * found["self_supervision"]
    assert found["loss"].item() == pytest.approx(expected.item())
    found["self_supervision"].backward()
    for part in (model.self_supervision, model.encoder):
        assert sum(p.grad.abs().sum() for p in part.parameters() if p.grad is not None) > 0
    assert all(p.grad is None for p in model.decoder.parameters())


def test_elements_of_hidden_atoms_are_not_seen(graphs):
    model, batch = autoencoder(graphs).eval(), graphs.heavy().padded()
    hidden = batch.mask & (torch.arange(batch.mask.shape[1]) % 3 == 0)
    other = replace(batch, atoms=batch.atoms.clone())
    other.numbers[hidden] = 17
    torch.testing.assert_close(model.states(batch, hidden), model.states(other, hidden))
    assert not torch.allclose(model.states(batch), model.states(other))
