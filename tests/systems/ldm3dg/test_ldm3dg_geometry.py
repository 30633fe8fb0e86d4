"""The geometric autoencoder of LDM-3DG: sizes, symmetries, what its decoder can see, its loss."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.transform import Rotation

from latent3d import plan
from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.plan import Row
from latent3d.systems import load_system
from latent3d.systems.ldm3dg.geometry.autoencoder import GeometricAutoencoder, collapse_penalty
from latent3d.systems.ldm3dg.geometry.conformers import decode_conformers, encode_conformers, with_start_coordinates
from latent3d.systems.ldm3dg.geometry.decoder import GeometricDecoder, distance_features, random_start
from latent3d.systems.ldm3dg.geometry.encoder import GeometricEncoder
from latent3d.systems.ldm3dg.geometry.graphs import AROMATIC, RADIUS, Edges, read_edge_graphs
from latent3d.systems.ldm3dg.settings import Geometry
from latent3d.training.loop import train

FEW = ["C[C@H](O)F", "c1ccccc1", "C#N", "CC(=O)O", "CCCCCC"]
SMALL = {"encoder_width": 32, "encoder_layers": 2, "code": 16, "width": 32, "rounds": 2}


def settings(system="ldm3dg", **changed):
    return plan.settings(Row(base=system, overrides={"geometry": changed}), "geometry", "default")


def autoencoder(branch, **changed):
    torch.manual_seed(0)
    return GeometricAutoencoder(settings(branch=branch, **{**SMALL, **changed})).eval()


@pytest.fixture(scope="module")
def molecules(from_smiles):
    return from_list([from_smiles(smiles) for smiles in FEW])


@pytest.fixture(scope="module")
def graphs(molecules):
    return read_edge_graphs(molecules)


def moved(graphs, positions):
    """The same graphs read anew at other positions [A, 3]."""
    return read_edge_graphs(moved.source.with_positions(positions.numpy()))


@pytest.fixture(autouse=True, scope="module")
def _source(molecules):
    moved.source = molecules


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_numbers_of_parameters_are_the_authors():
    with torch.device("meta"):
        model = GeometricAutoencoder(Geometry())
    assert parameters(model.encoder) == pytest.approx(2.01e6, rel=0.05)
    assert parameters(model.decoder) == pytest.approx(287e6, rel=0.05)
    for stack, expected in (
        (model.decoder.prior, 92e6),
        (model.decoder.posterior, 87e6),
        (model.decoder.decoder, 87e6),
    ):
        assert parameters(stack.rounds) == pytest.approx(expected, rel=0.05)


def test_edges_are_the_pairs_of_a_molecule_within_the_radius_and_its_bonds(molecules, graphs):
    batch = graphs.select([4, 1])
    assert batch.batch.tolist() == [0] * 20 + [1] * 12
    together = torch.cdist(batch.positions, batch.positions)
    together[batch.batch[:, None] != batch.batch] = 100
    expected = torch.nonzero((together < RADIUS).fill_diagonal_(False))
    found = torch.stack([batch.near.senders, batch.near.receivers], 1)
    assert sorted(found.tolist()) == sorted(expected.tolist())
    assert len(found) < 20 * 19 + 12 * 11  # hexane is longer than the radius
    assert len(batch.bonds.kinds) == 2 * (len(molecules[4].bonds) + len(molecules[1].bonds))
    assert (batch.bonds.kinds == AROMATIC).sum() == 12
    of_near = dict(zip(map(tuple, found.tolist()), batch.near.kinds.tolist(), strict=True))
    bonds = zip(batch.bonds.senders.tolist(), batch.bonds.receivers.tolist(), batch.bonds.kinds.tolist(), strict=True)
    assert all(of_near[i, j] == kind for i, j, kind in bonds)
    assert sum(kind > 0 for kind in of_near.values()) == len(batch.bonds.kinds)


def test_codes_see_neither_orientation_nor_hand(graphs):
    torch.manual_seed(0)
    encoder = GeometricEncoder(Geometry(encoder_width=32, encoder_layers=4, code=16)).double()
    batch = graphs.select(range(len(graphs)))
    batch = replace(batch, positions=batch.positions.double())
    z = encoder(batch)
    turn = torch.tensor(Rotation.random(random_state=0).as_matrix())
    for change in (turn, -turn):
        again = encoder(replace(batch, positions=batch.positions @ change.T + torch.tensor([5.0, -3.0, 2.0])))
        assert (again - z).abs().max() < 1e-10
    stretched = encoder(replace(batch, positions=1.1 * batch.positions))
    assert (stretched - z).abs().max() > 1e-4


def test_codes_do_not_depend_on_the_order_of_atoms(graphs):
    torch.manual_seed(0)
    encoder = GeometricEncoder(Geometry(encoder_width=32, encoder_layers=3, code=16)).double()
    for row in range(len(graphs)):
        batch = graphs.select([row])
        batch = replace(batch, positions=batch.positions.double())
        order = torch.from_numpy(np.random.default_rng(0).permutation(batch.width))
        place = order.argsort()
        edges = Edges(place[batch.near.senders], place[batch.near.receivers], batch.near.kinds)
        shuffled = replace(batch, numbers=batch.numbers[order], positions=batch.positions[order], near=edges)
        assert (encoder(shuffled) - encoder(batch)).abs().max() < 1e-10


@pytest.mark.parametrize("branch", ["posterior", "prior"])
def test_nothing_depends_on_the_company_in_a_batch(branch, graphs):
    model = autoencoder(branch)
    z = encode_conformers(model, graphs)
    starts = random_start(graphs.sizes.sum(), torch.Generator().manual_seed(0))
    together = decode_conformers(model, graphs, z, starts)
    for row, x in enumerate(together):
        batch = graphs.select([row])
        atoms = slice(graphs.atoms.offsets[row], graphs.atoms.offsets[row + 1])
        with torch.no_grad():
            torch.testing.assert_close(model.encoder(batch)[0], z[row], atol=1e-5, rtol=1e-4)
            alone = model.decoder(batch, z[row : row + 1], starts[atoms])
        np.testing.assert_allclose(alone.numpy(), x, atol=1e-4)
        np.testing.assert_allclose(x.mean(0), 0, atol=1e-5)


def test_the_released_decoder_reads_coordinates_and_the_prior_branch_cannot(graphs):
    z = torch.randn(len(graphs), 16, generator=torch.Generator().manual_seed(1))
    starts = random_start(graphs.sizes.sum(), torch.Generator().manual_seed(0))
    noise = torch.randn(graphs.positions.values.shape, generator=torch.Generator().manual_seed(2))
    nudged = graphs.positions.values + 0.05 * noise
    made = {}
    for branch in ("posterior", "prior"):
        model = autoencoder(branch)
        first, second = (decode_conformers(model, g, z, starts) for g in (graphs, moved(graphs, nudged)))
        made[branch] = max(np.abs(a - b).max() for a, b in zip(first, second, strict=True))
    assert made["posterior"] > 1e-4
    assert made["prior"] == 0
    # Not even coordinates that are not there change it: those of decoded graphs.
    bare = read_edge_graphs(moved.source.with_positions(np.full((len(starts), 3), np.nan)), placed=False)
    model = autoencoder("prior")
    for a, b in zip(
        decode_conformers(model, bare, z, starts), decode_conformers(model, graphs, z, starts), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    assert not [name for name, _ in model.decoder.named_parameters() if name.startswith(("posterior", "features"))]


def test_the_released_decoder_is_not_equivariant(graphs):
    model = autoencoder("posterior")
    z = encode_conformers(model, graphs)
    starts = random_start(graphs.sizes.sum(), torch.Generator().manual_seed(0))
    turn = torch.tensor(Rotation.random(random_state=0).as_matrix(), dtype=torch.float32)
    there = (graphs.positions.with_values(graphs.positions.values @ r) for r in (torch.eye(3), turn))
    plain, turned = (decode_conformers(model, replace(graphs, positions=x), z, starts) for x in there)
    distances = [np.linalg.norm(x[:, None] - x, axis=-1) for x in (plain[0], turned[0])]
    assert np.abs(distances[0] - distances[1]).max() > 1e-4


def test_edge_features_are_as_released(graphs):
    batch = graphs.select([2])
    found = distance_features(batch.positions, batch.near)
    i, j = batch.near.senders[0], batch.near.receivers[0]
    d = (batch.positions[i] - batch.positions[j]).norm()
    torch.testing.assert_close(found[0], torch.exp(-d) * (1 + 4 * torch.arange(16) / 15))


def test_the_loss_is_scipys_after_superposition(graphs, monkeypatch):
    model = autoencoder("prior", collapse_weight=0.0)
    batch = graphs.select(range(len(graphs)))
    predicted = batch.centred(
        batch.positions + 0.3 * torch.randn(batch.positions.shape, generator=torch.Generator().manual_seed(3))
    )
    monkeypatch.setattr(model.decoder, "forward", lambda *_: predicted)
    found = model(batch, torch.Generator().manual_seed(0))["loss"]
    expected = []
    for row in range(len(graphs)):
        x, y = (t[batch.batch == row].numpy() for t in (predicted, batch.positions))
        _, root_sum = Rotation.align_vectors(x - x.mean(0), y - y.mean(0))
        expected.append(root_sum**2 / (3 * len(x)))
    assert found.item() == pytest.approx(np.mean(expected), rel=1e-4)


@pytest.mark.parametrize("branch", ["posterior", "prior"])
def test_mixed_precision_changes_the_loss_by_its_rounding_alone(branch, graphs):
    model = autoencoder(branch, self_supervision="global_local")
    batch, seed = graphs.select(range(len(graphs))), torch.Generator
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = model(batch, seed().manual_seed(0))["loss"]
    mixed.backward()
    assert mixed.item() == pytest.approx(model(batch, seed().manual_seed(0))["loss"].item(), rel=0.02)
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_collapse_penalty_has_its_closed_forms():
    same = torch.ones(5, 3)
    assert collapse_penalty(same).item() == pytest.approx(1 + math.log(4))
    apart = torch.eye(4) * torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None]  # lengths do not count
    assert collapse_penalty(apart).item() == pytest.approx(math.log(3))
    pair = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    assert collapse_penalty(pair).item() == pytest.approx(0.6)


@pytest.mark.parametrize("method", ["global_local", "two_view", "masked_attributes"])
def test_self_supervision_adds_its_term_which_trains_the_encoder_and_not_the_decoder(graphs, method):
    batch = graphs.select(range(len(graphs)))
    model = autoencoder("prior", self_supervision=method, self_supervision_weight=0.5)
    found = model(batch, torch.Generator().manual_seed(0))
    expected = found["mse"] + 0.1 * found["collapse"] + 0.5 * found["self_supervision"]
    assert found["loss"].item() == pytest.approx(expected.item())
    found["self_supervision"].backward()
    for part in (model.self_supervision, model.encoder):
        assert sum(p.grad.abs().sum() for p in part.parameters() if p.grad is not None) > 0
    assert all(p.grad is None for p in model.decoder.parameters())


def test_elements_of_hidden_atoms_are_not_seen(graphs):
    batch = graphs.select(range(len(graphs)))
    encoder, hidden = autoencoder("prior").encoder, torch.arange(len(batch.numbers)) % 3 == 0
    other = replace(batch, numbers=torch.where(hidden, 17, batch.numbers))
    torch.testing.assert_close(encoder.view(batch, hidden).codes, encoder.view(other, hidden).codes)
    assert not torch.allclose(encoder.view(batch).codes, encoder.view(other).codes)


def test_gradients_of_the_penalty_push_codes_apart():
    z = torch.tensor([[1.0, 0.0], [1.0, 0.1]], requires_grad=True)
    collapse_penalty(z).backward()
    after = collapse_penalty((z - 0.1 * z.grad).detach())
    assert after < collapse_penalty(z.detach())


def test_a_molecule_without_edges_decodes(from_smiles):
    helium = Molecule(np.array([2], np.uint8), np.zeros((1, 3), np.float32), np.zeros((0, 2), np.int16),
                      np.zeros(0, np.uint8), np.zeros(1, np.int8))  # fmt: skip
    graphs = read_edge_graphs([helium, from_smiles("C")])
    for branch in ("posterior", "prior"):
        model = autoencoder(branch)
        z = encode_conformers(model, graphs)
        made = decode_conformers(model, graphs, z, torch.rand(6, 3))
        assert [len(x) for x in made] == [1, 5] and all(np.isfinite(x).all() for x in made)
        alone = read_edge_graphs([helium])
        assert np.isfinite(decode_conformers(model, alone, z[:1], torch.rand(1, 3))[0]).all()


def test_coordinates_to_read_come_from_etkdg_or_a_plane(from_smiles):
    molecule = from_smiles("CC(=O)O")
    graph = replace(molecule, positions=np.full_like(molecule.positions, np.nan))
    embedded, drawn = with_start_coordinates(graph, "etkdg", 1), with_start_coordinates(graph, "layout", 1)
    assert np.ptp(embedded.positions[:, 2]) > 0.5
    assert np.isfinite(drawn.positions).all() and np.ptp(drawn.positions[:, 2]) == 0
    np.testing.assert_array_equal(embedded.positions, with_start_coordinates(molecule, "etkdg", 1).positions)
    # Five carbons that are all bonded to each other have no geometry: ETKDG fails, the drawing does not.
    pairs = np.array([(i, j) for i in range(5) for j in range(i)], np.int16)
    clique = Molecule(np.full(5, 6, np.uint8), np.zeros((5, 3), np.float32), pairs, np.ones(10, np.uint8),
                      np.zeros(5, np.int8))  # fmt: skip
    fallen_back = with_start_coordinates(clique, "etkdg", 1)
    assert np.isfinite(fallen_back.positions).all() and np.ptp(fallen_back.positions[:, 2]) == 0


@pytest.mark.parametrize("branch", ["posterior", "prior"])
def test_the_loss_falls_tenfold_on_a_handful_of_molecules(branch, from_smiles, tmp_path):
    graphs = read_edge_graphs([from_smiles(smiles) for smiles in ("C#N", "O", "C=O", "C1=CO1")] * 8)
    h = settings(
        branch=branch, **{**SMALL, "width": 64}, drop=0.0, steps=250, batch_size=16, learning_rate=0.003,
        decay="linear", collapse_weight=0.0,
    )  # fmt: skip
    torch.manual_seed(0)

    def loss(model, rows, generator, _):
        return model(graphs.select(rows), generator)

    log = train("geometry", GeometricAutoencoder(h), graphs.sizes, loss, h, Run(0, tmp_path)).log
    with torch.no_grad():
        nothing = float(graphs.positions.values.square().mean())
    assert np.mean([line["mse"] for line in log[-2:]]) < nothing / 10


def test_dropout_is_a_function_of_the_step(dataset, tmp_path):
    h = settings(**SMALL, steps=3, batch_size=4)
    first, second = (
        load_system("ldm3dg").fit("geometry", dataset, {}, h, Run(0, tmp_path / name))[0].weights for name in "ab"
    )
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_what_cannot_be_read_has_no_graph(from_smiles):
    ethanol = from_smiles("CCO")
    unknown = replace(ethanol, bonds=None, bond_orders=None, formal_charges=None)
    lost = replace(ethanol, positions=np.full_like(ethanol.positions, np.nan))
    impossible = replace(ethanol, bond_orders=np.full_like(ethanol.bond_orders, 3))
    molecules = from_list([unknown, ethanol, lost, impossible], pd.DataFrame(index=range(4)))
    assert read_edge_graphs(molecules).index.tolist() == [1]
    assert read_edge_graphs(molecules, placed=False).index.tolist() == [1, 2]


def test_decoders_differ_in_the_branch_alone():
    with torch.device("meta"):
        prior, posterior = (GeometricDecoder(Geometry(branch=branch)) for branch in ("prior", "posterior"))
    ours, theirs = ({name: p.shape for name, p in m.named_parameters()} for m in (prior, posterior))
    assert all(theirs[name] == shape for name, shape in ours.items())
