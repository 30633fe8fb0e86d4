"""The networks of EDM, GeoLDM and their ablations: symmetries, the plain reference, parameter counts, memory."""

import pytest
import scatter_egnn
import torch

from latent3d.diffusion.points import PointNetwork
from latent3d.graphs.point_clouds import centre
from latent3d.nets import egnn
from latent3d.nets.egnn import EGNN, GNN
from latent3d.nets.pairs import PairLinear
from latent3d.plan import Row, settings
from latent3d.systems.edm.model import AtomDiffusion
from latent3d.systems.geoldm.model import PointAutoencoder, latent_denoiser

QM9, DRUGS = (1, 6, 7, 8, 9), tuple(range(1, 17))  # 5 and 16 elements
COUNTS = [5, 8, 1]


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def preset(system, name, stage):
    return settings(Row(base=system), stage, name)


@pytest.fixture(params=[EGNN, GNN])
def network(request):
    torch.manual_seed(0)
    network = request.param(4, 16, 3, 6, 1.0).double()
    for p in network.parameters():  # not the tiny scale that coordinates start with
        torch.nn.init.normal_(p, std=0.1)
    return network


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    mask = torch.arange(max(COUNTS)) < torch.tensor(COUNTS)[:, None]
    x = centre(torch.randn(3, 8, 3, generator=generator, dtype=torch.float64), mask)
    return x, torch.randn(3, 8, 4, generator=generator, dtype=torch.float64) * mask[..., None], mask


def orthogonal(reflect):
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    return q * torch.det(q) * (-1 if reflect else 1)


def test_permutations_permute(network, batch):
    x, h, mask = batch
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    for plain, permuted in zip(network(x, h, mask), network(x[:, order], h[:, order], mask[:, order]), strict=True):
        torch.testing.assert_close(plain[:, order], permuted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("reflect", [False, True])
def test_egnn_is_e3_equivariant_and_gnn_is_not(network, batch, reflect):
    x, h, mask = batch
    turn, shift = orthogonal(reflect), torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    moved = (x @ turn + shift) * mask[..., None]
    x_out, h_out = network(x, h, mask)
    x_moved, h_moved = network(moved, h, mask)
    error = ((x_out @ turn + shift) * mask[..., None] - x_moved).abs().max(), (h_out - h_moved).abs().max()
    assert max(error) < 1e-10 if network.equivariant else min(error) > 1e-3


def test_padding_changes_nothing_and_stays_zero(network, batch):
    x, h, mask = batch
    x_out, h_out = network(x, h, mask)
    assert not x_out[~mask].any()
    assert not h_out[~mask].any()
    for row, count in enumerate(COUNTS):
        alone = network(x[row : row + 1, :count], h[row : row + 1, :count], mask[row : row + 1, :count])
        torch.testing.assert_close(alone[0][0], x_out[row, :count], rtol=0, atol=1e-12)
        torch.testing.assert_close(alone[1][0], h_out[row, :count], rtol=0, atol=1e-12)


def test_the_dense_layers_are_those_of_the_plain_reference_with_their_gradients(network, batch):
    ours, theirs = network(*batch), scatter_egnn.forward(network, *batch)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    gradients = [
        torch.autograd.grad(x.square().sum() + h.sin().sum(), list(network.parameters())) for x, h in (ours, theirs)
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


def test_layers_that_are_computed_again_give_the_same_gradients(network, batch, monkeypatch):
    def gradients():
        x, h = network(*batch)
        return torch.autograd.grad(x.square().sum() + h.square().sum(), list(network.parameters()))

    kept = gradients()
    calls = []

    def counted(*arguments, **options):
        calls.append(arguments)
        return torch.utils.checkpoint.checkpoint(*arguments, **options)

    monkeypatch.setattr(egnn, "RECOMPUTE_FROM", 1)
    monkeypatch.setattr(egnn, "checkpoint", counted)
    for one, other in zip(kept, gradients(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert len(calls) == 3


def test_pair_linear_is_the_plain_layer():
    layer = PairLinear(4, 2, 5)
    h, pairs = torch.randn(2, 3, 4), torch.randn(2, 3, 3, 2)
    rows, columns = h[:, :, None].expand(-1, -1, 3, -1), h[:, None].expand(-1, 3, -1, -1)
    plain = torch.nn.functional.linear(torch.cat([rows, columns, pairs], -1), layer.weight, layer.bias)
    torch.testing.assert_close(layer(h, pairs), plain)


def test_distances_are_not_rounded_under_autocast():
    # One atom pair at 1.5 and 1.501 angstrom: bf16 would give both the same features.
    torch.manual_seed(0)
    layer = PairLinear(4, 2, 5)
    h = torch.zeros(1, 2, 4)
    with torch.autocast("cpu", torch.bfloat16):
        near, far = (layer(h, torch.full((1, 2, 2, 2), d**2)) for d in (1.5, 1.501))
    assert (near != far).all()


def test_edm_has_the_authors_number_of_parameters():
    counts = {
        name: parameters(AtomDiffusion(EGNN, DRUGS if name == "drugs" else QM9, 29, preset("edm", name, "diffusion")))
        for name in ("default", "drugs")
    }
    assert counts == {"default": 5_339_920, "drugs": 2_380_565}
    h = preset("edm", "conditional", "diffusion")
    assert parameters(PointNetwork(EGNN, 5, h.width, h.layers, 1.0, context=1)) == 3_009_616


def test_gdm_has_the_authors_number_of_parameters():
    assert parameters(AtomDiffusion(GNN, QM9, 29, preset("gdm", "default", "diffusion"))) == 3_555_859
    assert parameters(AtomDiffusion(GNN, DRUGS, 181, preset("gdm", "drugs", "diffusion"))) == 1_588_504


@pytest.mark.parametrize(
    "name, elements, context, millions",
    [
        ("default", QM9, 0, (5.337, 0.727, 5.338, 11.40)),
        ("conditional", QM9, 1, (3.008, 0.410, 3.008, 6.43)),
        ("drugs", DRUGS, 0, (2.373, 0.730, 2.376, 5.48)),
    ],
)
def test_geoldm_has_the_authors_numbers_of_parameters(name, elements, context, millions):
    autoencoder = PointAutoencoder(EGNN, elements, 29, preset("geoldm", name, "autoencoder"))
    h = preset("geoldm", name, "diffusion")
    denoiser = PointNetwork(EGNN, autoencoder.latent, h.width, h.layers, 1.0, context)
    if not context:
        assert parameters(latent_denoiser(EGNN, autoencoder.latent, h)) == parameters(denoiser)
    encoder = parameters(autoencoder.encoder) + parameters(autoencoder.code)
    parts = [parameters(denoiser), encoder, parameters(autoencoder.decoder)]
    assert [round(count / 1e6, 3) for count in parts] == list(millions[:3])
    assert round(sum(parts) / 1e6, 2) == millions[3]
