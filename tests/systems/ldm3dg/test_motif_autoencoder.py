import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import plain_motifs
import pytest
import torch
from rdkit import Chem

from latent3d.data.molecules.molecules import from_list
from latent3d.data.molecules.parquet import read_parquet
from latent3d.data.molecules.rdkit import canonical_smiles, from_rdkit, sanitised
from latent3d.systems.ldm3dg.settings import Topology
from latent3d.systems.ldm3dg.topology.assembly import MAX_MOTIFS
from latent3d.systems.ldm3dg.topology.autoencoder import TopologicalAutoencoder, encode_trees, kl_weight
from latent3d.systems.ldm3dg.topology.motifs import ROOT, Vocabulary, read_motif
from latent3d.systems.ldm3dg.topology.trees import read_trees

MINI = Path(__file__).parents[3] / "resources" / "mini.parquet"
SMILES = [
    "C",
    "CC(C)(C)CO",
    "Cc1ccc(O)c(C#N)c1",
    "C1CC12CC2C",
    "CC1C2CC1OC2",
    "O=C(NCc1ccco1)c1cccc2cc[nH]c12",
    "CN(C)CCCS(=O)(=O)N1CCC(F)(C(=O)[O-])CC1",
    "Cn1c(=O)c2[nH]cnc2n(C)c1=O",
]


def from_text(smiles):
    return from_rdkit(Chem.AddHs(Chem.MolFromSmiles(smiles)))


def smiles_of(molecule):
    return canonical_smiles(sanitised(molecule))


@pytest.fixture(scope="module")
def trees():
    data = read_parquet(MINI)
    molecules = list(map(from_text, SMILES))
    vocabulary = Vocabulary.of(from_list([*molecules, *data.take(np.arange(0, len(data), 20))]))
    return read_trees(vocabulary, from_list(molecules))


def autoencoder(vocabulary, width=24):
    torch.manual_seed(0)
    return TopologicalAutoencoder(vocabulary, Topology(hidden=width, embed=width))


def noise():
    return torch.Generator().manual_seed(0)


def test_it_is_as_large_as_the_authors():
    motifs = ["C" + "".join(letters) for letters in itertools.islice(itertools.product("CNO", repeat=8), 5636)]
    sites = [(motif, site) for site in (ROOT, 0, 1) for motif in range(len(motifs))]
    types = sorted({kind for motif in motifs for kind in read_motif(motif).types})
    types += [(118, 0, valence) for valence in range(69 - len(types))]
    vocabulary = Vocabulary(tuple(types), tuple(motifs), tuple(sorted(sites[:15_864])))
    model = TopologicalAutoencoder(vocabulary, Topology())
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(15.21e6, rel=0.05)


def test_it_computes_the_plain_losses_and_gradients(trees):
    model = autoencoder(trees.vocabulary).double()
    together = model(trees.select(np.arange(len(trees))), noise(), 0.1)["loss"]
    together.backward()
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    generator = noise()  # 32 numbers per molecule: the stream is the same in one piece and in eight
    alone = [plain_motifs.loss(model, trees.select([row]), generator, 0.1) for row in range(len(trees))]
    torch.stack(alone).mean().backward()
    assert together.item() == pytest.approx(torch.stack(alone).mean().item(), rel=1e-5)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-6, msg=name)
        assert gradients[name].abs().max() > 0, name


def test_a_code_does_not_depend_on_the_batch(trees):
    model = autoencoder(trees.vocabulary)
    together = model.encode(trees.select(np.arange(len(trees))))
    for row in range(len(trees)):
        torch.testing.assert_close(model.encode(trees.select([row]))[0], together[row], rtol=0, atol=1e-5)
    assert together.abs().max() < 1
    assert torch.pdist(together).min() > 1e-3
    torch.testing.assert_close(encode_trees(model, trees, batch_size=3), together, rtol=0, atol=1e-5)


def test_a_code_does_not_depend_on_the_order_of_atoms(trees):
    model = autoencoder(trees.vocabulary)
    shuffled = []
    for smiles in SMILES:
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        order = np.random.default_rng(len(smiles)).permutation(mol.GetNumAtoms())
        shuffled.append(from_rdkit(Chem.RenumberAtoms(mol, order.tolist())))
    again = read_trees(trees.vocabulary, from_list(shuffled))
    torch.testing.assert_close(encode_trees(model, again), encode_trees(model, trees), rtol=0, atol=1e-5)


def test_node_vectors_belong_to_heavy_atoms(trees):
    model = autoencoder(trees.vocabulary)
    batch = trees.select([5, 1])
    root, atoms, molecule_of_atom = model.encode_with_nodes(batch)
    assert root.shape == (2, 24)
    assert molecule_of_atom.bincount().tolist() == trees.sizes[[5, 1]].tolist()
    torch.testing.assert_close(atoms[molecule_of_atom == 1], model.encode_with_nodes(trees.select([1]))[1])


def test_any_code_decodes_to_a_valid_molecule():
    data = read_parquet(MINI)
    model = autoencoder(Vocabulary.of(data.take(np.arange(0, len(data), 5))))
    z = 4 * torch.randn(300, 32, generator=noise())
    molecules = model.decode(z)
    for molecule in molecules:
        assert np.isnan(molecule.positions).all()
        assert len(Chem.GetMolFrags(sanitised(molecule))) == 1
    assert len(set(map(smiles_of, molecules))) > 5
    assert list(map(smiles_of, model.decode(z[:7]))) == list(map(smiles_of, molecules[:7]))


def test_decoding_ends_where_the_network_never_stops(trees):
    model = autoencoder(trees.vocabulary)
    with torch.no_grad():
        model.decoder.topology[-1].bias.fill_(100)
    for molecule in model.decode(torch.randn(20, 32, generator=noise())):
        assert sanitised(molecule) is not None
        assert (molecule.atomic_numbers > 1).sum() <= MAX_MOTIFS * 10


@pytest.mark.parametrize("smiles", ["C", "CC", "C" * 75, f"CC1{'C' * 45}NC1"])
def test_the_smallest_vocabularies_the_longest_chain_and_a_large_ring(smiles):
    molecules = from_list([from_text(smiles)])
    trees = read_trees(Vocabulary.of(molecules), molecules)
    model = autoencoder(trees.vocabulary)
    model(trees.select([0]), noise(), 0.1)["loss"].backward()
    assert all(sanitised(molecule) is not None for molecule in model.decode(torch.randn(3, 32)))
    nothing = read_trees(trees.vocabulary, from_list([from_text("F")]))
    assert len(nothing) == 0
    assert nothing.miss_counts == {"unknown_motif": 1}


def test_a_few_molecules_are_learnt_by_heart(trees):
    model = autoencoder(trees.vocabulary, 48)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    batch, generator = trees.select(np.arange(len(trees))), noise()
    for _ in range(150):
        losses = model(batch, generator, 0.0)
        optimizer.zero_grad()
        losses["loss"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5)
        optimizer.step()
    assert losses["exact"] == 1
    decoded = model.decode(model.mean(encode_trees(model, trees)))
    assert list(map(smiles_of, decoded)) == [smiles_of(from_text(smiles)) for smiles in SMILES]


def test_the_weight_of_the_kl_term_follows_the_authors():
    settings = Topology()
    assert [kl_weight(step, settings) for step in (0, 9_999, 10_000, 11_999, 12_000)] == [0, 0, 0.001, 0.001, 0.002]
    assert kl_weight(2_007_999, settings) == pytest.approx(0.999)
    assert kl_weight(3_000_000, settings) == 1


@pytest.mark.parametrize("method", ["global_local", "two_view", "masked_attributes"])
def test_self_supervision_trains_the_encoder_and_not_the_decoder(trees, method):
    torch.manual_seed(0)
    term = {"self_supervision": method, "self_supervision_weight": 0.5}
    model = TopologicalAutoencoder(trees.vocabulary, Topology(hidden=24, embed=24, **term))
    found = model(trees.select(np.arange(len(trees))), noise(), 0.1)
    expected = found["nll"] + 0.1 * found["kl"] + 0.5 * found["self_supervision"]
    assert found["loss"].item() == pytest.approx(expected.item())
    found["self_supervision"].backward()
    trained = {name for name, p in model.encoder.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert any(name.startswith("atoms.") for name in trained)
    # What the hidden atoms are is said by the network that reads atoms; codes are made by all of them.
    assert any(name.startswith("root.") for name in trained) == (method != "masked_attributes")
    # The atoms' vectors are as wide as the root code: no map is needed between them.
    assert all(p.grad.abs().sum() > 0 for p in model.self_supervision.parameters())
    assert all(p.grad is None for p in model.decoder.parameters())


def test_what_hidden_atoms_are_is_not_seen_nor_their_motifs(trees):
    model = autoencoder(trees.vocabulary)
    batch = trees.select(np.arange(len(trees)))
    hidden = torch.arange(len(batch.atoms.features)) % 4 == 0
    features = torch.where(hidden[:, None], 0, batch.atoms.features)
    other = replace(batch, atoms=replace(batch.atoms, features=features))
    embedded = model._embedded(batch)
    seen = model.encoder(batch, *embedded, hidden)
    for one, two in zip(seen, model.encoder(other, *embedded, hidden), strict=True):
        torch.testing.assert_close(one, two)
    assert not torch.allclose(model.encoder(batch, *embedded)[0], model.encoder(other, *embedded)[0])
    # With all atoms hidden nothing is seen of the motifs either.
    everything = torch.ones_like(hidden)
    blind = [torch.randn_like(table) for table in embedded]
    torch.testing.assert_close(model.encoder(batch, *blind, everything), model.encoder(batch, *embedded, everything))
