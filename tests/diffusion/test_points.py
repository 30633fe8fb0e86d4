"""Diffusion of point clouds: no centre of gravity anywhere, the bound against closed forms, numbers of atoms."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from latent3d.diffusion import bound
from latent3d.diffusion.objectives import NoiseLevel
from latent3d.diffusion.point_sampling import batches_by_size, draw_counts
from latent3d.diffusion.points import (
    SCHEDULE,
    TIMES,
    PointCondition,
    PointNetwork,
    decode_z0,
    draw_noise,
    eps_loss,
    point_denoiser,
    random_rotations,
    without_gravity,
)
from latent3d.diffusion.samplers import SAMPLERS, invert, sample
from latent3d.nets.egnn import EGNN, GNN

STD = 0.7


def gravity(z, mask):
    return (z[..., :3] * mask[..., None]).sum(1).abs().max()


@pytest.fixture
def mask():
    return torch.arange(6) < torch.tensor([6, 4, 1])[:, None]


class ExactGaussian(nn.Module):
    """eps of the ideal network for positions N(0, STD^2) without centre of gravity and features N(0, STD^2)."""

    def forward(self, z, t, condition):
        level = NoiseLevel.at(SCHEDULE, t, z.dim())
        return level.sigma / (level.alpha**2 * STD**2 + level.sigma**2) * z


@pytest.mark.parametrize("kind", [EGNN, GNN])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_chain_keeps_the_centre_of_gravity_at_zero(kind, sampler, mask):
    torch.manual_seed(0)
    denoiser = point_denoiser(PointNetwork(kind, 2, 16, 2, 1.0)).double()
    for p in denoiser.parameters():
        nn.init.normal_(p, std=0.2)
    generator = torch.Generator().manual_seed(0)
    seen = []

    def noise():
        return without_gravity(torch.randn(3, 6, 5, generator=generator, dtype=torch.float64), mask)

    def watch(module, inputs, output):
        seen.append((inputs[0], output))

    denoiser.network.register_forward_hook(watch)
    condition = PointCondition(mask)
    z = sample(denoiser, noise, 20, sampler, condition)
    z = decode_z0(denoiser, z, noise(), condition)
    assert len(seen) == 21
    for state in (z, *[part for pair in seen for part in pair]):
        scale = state.abs().max().clamp(min=1)
        assert gravity(state, mask) / scale < 1e-10
        assert not state[~mask].any()


def test_noise_without_gravity_has_unit_variance_in_the_subspace(mask):
    noise = without_gravity(torch.randn(20_000, 4, 3, generator=torch.Generator().manual_seed(0)), torch.ones(1, 4) > 0)
    square = noise[..., :3].square().sum((1, 2))
    assert square.mean().item() == pytest.approx(9, rel=0.02)  # 3 (N - 1)
    assert square.var().item() == pytest.approx(18, rel=0.05)  # chi-square


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samples_of_the_exact_denoiser_have_the_variance_of_the_data(sampler):
    mask = torch.ones(4000, 4) > 0
    generator = torch.Generator().manual_seed(0)

    def noise():
        return draw_noise(torch.Size([4000, 4, 4]), mask, generator)

    z = sample(point_denoiser(ExactGaussian()), noise, 250, sampler, PointCondition(mask))
    assert z[..., :3].square().sum((1, 2)).mean().item() == pytest.approx(9 * STD**2, rel=0.04)
    assert z[..., 3].std().item() == pytest.approx(STD, rel=0.03)


def test_inverted_clouds_keep_the_centre_of_gravity_at_zero_and_come_back(mask):
    generator = torch.Generator().manual_seed(0)
    z0 = STD * without_gravity(torch.randn(3, 6, 5, generator=generator, dtype=torch.float64), mask)
    model, condition = point_denoiser(ExactGaussian()), PointCondition(mask)
    noise = invert(model, z0, 50, condition, 10)
    assert gravity(noise, mask) < 1e-12
    assert not noise[~mask].any()
    torch.testing.assert_close(sample(model, lambda: noise, 50, "ddim", condition), z0, rtol=0, atol=1e-6)
    # Nearly z_0 / STD, the noise that the flow makes z_0 of.
    torch.testing.assert_close(noise, z0 / STD, rtol=0.05, atol=0)


def test_a_network_reads_the_context_of_atoms_that_there_are(mask):
    torch.manual_seed(0)
    network = PointNetwork(EGNN, 2, 16, 2, 1.0, context=1).double()
    z, t = draw_noise(torch.Size([3, 6, 5]), mask, torch.Generator().manual_seed(0)).double(), torch.full((3,), 0.5)
    first, second = (torch.full((3, 6, 1), value, dtype=torch.float64) for value in (0.0, 1.0))
    elsewhere = torch.where(mask[..., None], first, second)  # at padding alone
    out = [network(z, t.double(), PointCondition(mask, context)) for context in (first, second, elsewhere)]
    assert (out[0] - out[1])[mask].abs().max() > 1e-3
    assert torch.equal(out[0], out[2])


def test_the_loss_of_the_exact_denoiser_is_the_irreducible_one():
    mask = torch.ones(20_000, 4) > 0
    generator = torch.Generator().manual_seed(0)
    z0 = STD * draw_noise(torch.Size([20_000, 4, 4]), mask, generator)
    loss = eps_loss(point_denoiser(ExactGaussian()), z0, PointCondition(mask), 10, generator, discrete=True)
    level = NoiseLevel.at(SCHEDULE, torch.arange(TIMES + 1) / TIMES, 1)
    error = (level.alpha * STD) ** 2 / ((level.alpha * STD) ** 2 + level.sigma**2)  # per degree of freedom
    expected = (9 * error.mean() + 4 * error[1:].sum() / (TIMES + 1)) / (4 * 10)  # features do not count at k = 0
    assert loss.item() == pytest.approx(expected.item(), rel=0.02)


def test_bound_terms_have_their_closed_forms_for_gaussian_data():
    # [B, N, 3] positions only: D = 3 (N - 1) dimensions of variance STD^2 each.
    count, atoms = 40_000, 3
    dimensions = 3 * (atoms - 1)
    mask = torch.ones(count, atoms) > 0
    generator = torch.Generator().manual_seed(0)
    z0 = STD * draw_noise(torch.Size([count, atoms, 3]), mask, generator).double()
    network = ExactGaussian()

    def error_at(k):
        k = torch.full((count,), float(k), dtype=torch.float64)
        level = NoiseLevel.at(SCHEDULE, k / TIMES, 3)
        eps = draw_noise(z0.shape, mask, generator).double()
        return eps, network(level.alpha * z0 + level.sigma * eps, k / TIMES, PointCondition(mask)), k

    t = torch.arange(TIMES + 1, dtype=torch.float64) / TIMES
    level = NoiseLevel.at(SCHEDULE, t, 1)
    snr = (level.alpha / level.sigma) ** 2
    irreducible = snr * STD**2 / (snr * STD**2 + 1)  # E|eps - eps^|^2 per dimension
    last = level.alpha[-1] ** 2 * STD**2 + level.sigma[-1] ** 2
    closed = {
        "prior": 0.5 * dimensions * (last - 1 - 2 * level.sigma[-1].log()),
        "positions": 0.5 * dimensions * (irreducible[0] + math.log(2 * math.pi) - snr[0].log()),
        "chain": 0.5 * dimensions * ((snr[:-1] / snr[1:] - 1) * irreducible[1:]).sum(),
    }
    assert bound.prior_term(z0, mask).mean().item() == pytest.approx(closed["prior"].item(), abs=1e-4)
    eps, predicted, _ = error_at(0)
    positions = bound.position_term(eps, predicted, mask).mean().item()
    assert positions == pytest.approx(closed["positions"].item(), rel=2e-3)
    for k in (1, 10, 500, 999, 1000):
        term = 0.5 * dimensions * (snr[k - 1] / snr[k] - 1) * irreducible[k]
        assert bound.diffusion_term(*error_at(k)).mean().item() == pytest.approx(term.item(), rel=0.02)
    # Together they bound the entropy from above; 1000 steps of this schedule leave 0.38 nats per dimension.
    entropy = 0.5 * dimensions * math.log(2 * math.pi * math.e * STD**2)
    assert sum(closed.values()).item() - entropy == pytest.approx(0.38 * dimensions, abs=0.01 * dimensions)


def test_discrete_terms_are_probabilities():
    mask = torch.ones(1, 1) > 0
    for z, scale in ((torch.tensor([0.25, 0.0, 0.01]), 4.0), (torch.tensor([0.13, 0.12, 0.0]), 4.0)):
        total = sum(
            torch.exp(-bound.type_term(z.view(1, 1, 3).double(), torch.tensor([[kind]]), mask, scale))
            for kind in range(3)
        )
        assert total.item() == pytest.approx(1, abs=1e-9)
    # A clean state names its element and its charge; another one is (nearly) impossible.
    clean = torch.tensor([0.25, 0.0, 0.0]).view(1, 1, 3)
    assert bound.type_term(clean, torch.tensor([[0]]), mask, 4.0).item() == pytest.approx(0, abs=1e-6)
    assert bound.type_term(clean, torch.tensor([[1]]), mask, 4.0).item() > 10
    carbon = torch.tensor([[0.6]])
    assert bound.charge_term(carbon, torch.tensor([[6]]), mask, 10.0).item() == pytest.approx(0, abs=1e-6)
    assert bound.charge_term(carbon, torch.tensor([[7]]), mask, 10.0).item() > 10


def test_random_rotations_are_proper_and_uniform():
    rotations = random_rotations(20_000, torch.Generator().manual_seed(0)).double()
    identity = torch.eye(3, dtype=torch.float64).expand(20_000, 3, 3)
    torch.testing.assert_close(rotations @ rotations.transpose(1, 2), identity, atol=1e-5, rtol=0)
    assert (torch.det(rotations) > 0).all()
    # The Haar measure: entries have mean 0 and variance 1/3.
    assert rotations.mean(0).abs().max() < 0.02
    assert (rotations.square().mean(0) - 1 / 3).abs().max() < 0.01
    assert rotations.diagonal(dim1=1, dim2=2).sum(1).mean().abs() < 0.03


def test_numbers_of_atoms_have_the_frequencies_of_training():
    sizes = {3: 1, 5: 2, 9: 1}
    counts = draw_counts(sizes, (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000)
    assert dict(zip(*np.unique(counts, return_counts=True), strict=True)) == {3: 2500, 5: 5000, 9: 2500}
    assert draw_counts(sizes, torch.tensor([0.0, 0.25, 0.999999])).tolist() == [3, 5, 9]


def test_batches_hold_like_sizes_within_the_limit():
    counts = np.random.default_rng(0).integers(1, 30, 200)
    batches = batches_by_size(counts, 3000)
    assert sorted(row for rows in batches for row in rows) == list(range(200))
    assert all(len(rows) * counts[rows].max() ** 2 <= 3000 for rows in batches)
    assert batches_by_size(np.array([100]), 3000) == [[0]]  # one too large for the limit comes alone
