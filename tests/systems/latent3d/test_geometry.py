import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
from rdkit import Chem

from latent3d.data.molecules.molecules import from_list
from latent3d.data.molecules.rdkit import from_rdkit
from latent3d.graphs.conformers import encode_conformers, read_conformers
from latent3d.graphs.graph_batches import GraphBatch, Graphs, read_graphs
from latent3d.graphs.molecular_graphs import with_hydrogens
from latent3d.nets.conformer_encoder import invariant_features, pair_distances
from latent3d.nets.geometry_errors import frame_aligned_error, near_pairs
from latent3d.systems.latent3d import sampling
from latent3d.systems.latent3d.conformers import decode_conformers
from latent3d.systems.latent3d.geometry import GeometricAutoencoder, relax_springs
from latent3d.systems.latent3d.settings import Geometry

CHIRAL = ["C[C@H](O)F", "N[C@@H](C)C(=O)O", "C[C@@H]1CO1"]
ACHIRAL = ["CCO", "c1ccccc1", "C#N", "C#CC#C", "CC(C)(C)C"]


def autoencoder(**changed):
    sizes = {"atom_latent": 3, "width": 32, "layers": 3, "heads": 4, "spring_steps": 4, "spring_steps_inference": 20}
    return GeometricAutoencoder(9, Geometry(**{**sizes, **changed}))


@pytest.fixture(scope="module")
def conformers(from_smiles):
    return read_conformers(from_list([from_smiles(s) for s in CHIRAL + ACHIRAL]))


@pytest.fixture(scope="module")
def batch(conformers):
    """All graphs and their positions [M, N, 3]."""
    return conformers.graphs.padded(), conformers.positions.padded()


@pytest.fixture(scope="module")
def model(batch):
    torch.manual_seed(0)
    model = autoencoder()
    model.encode(*batch)  # gives the standardisation its mean and variance
    return model.eval()


def test_codes_are_invariant_to_rotation_and_translation(model, conformers, rotation):
    z = encode_conformers(model, conformers)
    moved = conformers.positions.values @ torch.tensor(rotation.T, dtype=torch.float32) + torch.tensor([5.0, -3.0, 2.0])
    change = (encode_conformers(model, conformers, positions=moved) - z).norm(dim=1) / z.norm(dim=1)
    assert change.max() < 1e-4  # linear molecules (HCN, butadiyne) are among them


def test_codes_of_mirror_images_differ_for_chiral_molecules_alone(model, conformers):
    z, mirrored = encode_conformers(model, conformers), encode_conformers(model, conformers, mirror=True)
    change = (mirrored - z).norm(dim=1) / z.norm(dim=1)
    assert (change[: len(CHIRAL)] > 1e-3).all()  # random weights; rotation changes codes by less than 1e-5
    flat = len(CHIRAL) + ACHIRAL.index("c1ccccc1")
    assert change[flat] < 0.1 * change[: len(CHIRAL)].min()


def test_codes_do_not_depend_on_padding_or_batch(model, conformers):
    together = encode_conformers(model, conformers)
    with torch.no_grad():
        alone = model.encode(conformers.graphs.padded([0]), conformers.positions.padded([0]))
    torch.testing.assert_close(alone[0], together[0], atol=1e-5, rtol=1e-4)


def test_the_decoder_takes_graph_and_code_and_no_coordinates(model, conformers):
    parameters = inspect.signature(GeometricAutoencoder.decode).parameters
    assert list(parameters) == ["self", "graphs", "z", "spring_steps"]
    assert not any("position" in name for name in GraphBatch.__dataclass_fields__)
    graphs = conformers.graphs
    z = torch.randn(len(graphs), 27, generator=torch.Generator().manual_seed(0))
    first = decode_conformers(model, graphs, z)
    # Sampling decodes graphs that never had coordinates: those of molecules whose positions are all NaN.
    bare = [graph.to_molecule(np.full((len(graph), 3), np.nan)) for graph in graphs]
    again = decode_conformers(model, Graphs.of(sampling.canonical_graph(molecule) for molecule in bare), z)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.positions, b.positions)


def test_a_decoded_graph_may_bear_more_hydrogens_than_any_of_training(model):
    [graph] = read_graphs([from_rdkit(Chem.AddHs(Chem.MolFromSmiles("S")))])
    sulfur = with_hydrogens(np.array([[16, 0, 6]]), np.array([6]), np.zeros((1, 1), int))
    found = Graphs.of([graph, sampling.canonical_graph(sulfur)])
    for molecule, size in zip(decode_conformers(model, found, torch.zeros(2, model.latent)), (3, 7), strict=True):
        assert molecule.positions.shape == (size, 3) and np.isfinite(molecule.positions).all()


def test_features_change_sign_in_one_component_under_reflection(batch):
    graphs, x = batch
    plain, mirrored = invariant_features(graphs, x), invariant_features(graphs, -x)
    torch.testing.assert_close(plain[..., :-1], mirrored[..., :-1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(plain[..., -1], -mirrored[..., -1], atol=1e-5, rtol=1e-5)


def test_springs_reach_distances_that_exist(batch):
    graphs, x = batch
    weights = near_pairs(graphs) * 4.0 ** (1 - graphs.paths.float().clamp(max=3))
    start = x + 0.2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    errors = []
    for steps in (0, 5, 50, 400):
        d = pair_distances(relax_springs(start, pair_distances(x), weights, steps))
        errors.append(float(((d - pair_distances(x)).abs() * weights).sum() / weights.sum()))
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[3] < 0.005


def test_coordinates_keep_their_precision_under_autocast(batch):
    graphs, x = batch
    weights, moved = near_pairs(graphs), x @ torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pulled, error = relax_springs(1.1 * x, pair_distances(x), weights, 5), frame_aligned_error(graphs, moved, x)
    assert torch.equal(pulled, relax_springs(1.1 * x, pair_distances(x), weights, 5))
    assert torch.equal(error, frame_aligned_error(graphs, moved, x))


def test_frame_aligned_error_sees_the_hand_and_not_the_pose(batch, rotation):
    graphs, x = batch
    moved = x @ torch.tensor(rotation.T, dtype=torch.float32) + 1.0
    assert frame_aligned_error(graphs, moved, x) < 0.02  # the floor is the smoothing of the square root
    assert frame_aligned_error(graphs, -x, x) > 0.5


def test_training_overfits_a_few_conformers_and_gets_their_hands_right(conformers):
    torch.manual_seed(0)
    model = autoencoder(width=64)
    rows = torch.arange(len(CHIRAL))
    graphs = conformers.graphs.padded(rows)
    x = torch.stack([conformers.positions.padded(rows), conformers.mirrored.padded(rows)])
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    generator = torch.Generator().manual_seed(0)
    first = None
    for step in range(240):
        loss = model(graphs, x[step % 2], generator)["loss"]
        first = first or loss.item()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert loss.item() < first / 4
    model.eval()
    with torch.no_grad():
        for hand in x:
            decoded, _, _ = model.decode(graphs, model.encode(graphs, hand))
            signs = [torch.linalg.det(p[:, 1:4] - p[:, :1]).sign() for p in (decoded, hand)]
            assert (signs[0] == signs[1]).all()


@pytest.mark.parametrize("method", ["global_local", "two_view", "masked_attributes"])
def test_self_supervision_adds_its_term(batch, method):
    model = autoencoder(self_supervision=method, self_supervision_weight=0.5)
    plain = autoencoder()
    plain.load_state_dict(model.state_dict(), strict=False)
    found, without = (m(*batch, torch.Generator().manual_seed(0)) for m in (model, plain))
    expected = without["loss"] + 0.5 * found["self_supervision"]
    assert found["loss"].item() == pytest.approx(expected.item(), rel=1e-4)
    found["self_supervision"].backward()
    assert all(p.grad is None for p in model.decoder.parameters())
    assert model.encoder.embed.number.weight.grad.abs().sum() > 0


def test_what_hidden_atoms_are_is_not_seen(model, batch):
    batch, x = batch
    hidden = batch.mask & (torch.arange(batch.mask.shape[1]) % 3 == 0)
    other = replace(batch, atoms=batch.atoms.clone())
    for column, value in ((other.numbers, 17), (other.charges, 1), (other.ordinals, 2)):
        column[hidden] = value
    with torch.no_grad():
        embedded = [model.encoder.embed(graphs, hidden)[0][hidden] for graphs in (batch, other)]
        seen, without = model.encoder(batch, x, hidden), model.encoder(batch, x)
    torch.testing.assert_close(*embedded)
    assert not torch.allclose(seen, without)


def test_networks_start_alike_with_and_without_self_supervision():
    def drawn(**more):
        torch.manual_seed(0)
        return autoencoder(**more).state_dict()

    plain = drawn()
    for method in ("global_local", "two_view", "masked_attributes"):
        more = drawn(self_supervision=method, self_supervision_weight=0.5)
        assert all(torch.equal(more[name], value) for name, value in plain.items())
        assert set(more) > set(plain)
