import numpy as np
import pytest
import torch
from exact_gaussian import MEAN, STD, ExactGaussian, draws

from latent3d.diffusion.objectives import OBJECTIVES, Denoiser, NoiseLevel, target, to_x0
from latent3d.diffusion.samplers import SAMPLERS, sample
from latent3d.diffusion.schedules import SCHEDULES, cosine, linear, polynomial_2
from latent3d.diffusion.streams import Streams, stream_seed


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_schedules_fall_from_one_to_nearly_zero(name):
    t = torch.linspace(0, 1, 101)
    alpha_bar = SCHEDULES[name](t)
    assert alpha_bar[0] == pytest.approx(1, abs=2e-5)
    # That of LDM-3DG does not reach zero: a released defect.
    assert alpha_bar[-1] < (0.0064 if name == "linear_500" else 1e-4)
    assert (alpha_bar.diff() < 0).all()


def test_schedules_have_their_published_values():
    torch.testing.assert_close(cosine(torch.tensor([0.5])), torch.tensor([0.5]))
    # Product of 1 - beta over the first 500 of 1000 steps of the linear schedule.
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    product = torch.cumprod(1 - beta, 0)[499].item()
    assert linear(torch.tensor([0.5])).item() == pytest.approx(product, rel=0.02)


def test_polynomial_2_is_edms_table_value_by_value():
    steps, s = 1000, 1e-5
    alpha_2 = (1 - (np.arange(steps + 1) / steps) ** 2) ** 2
    ratios = np.clip(alpha_2[1:] / alpha_2[:-1], 0.001, 1)
    table = (1 - 2 * s) * np.concatenate([[1.0], np.cumprod(ratios)]) + s
    ours = polynomial_2(torch.arange(steps + 1, dtype=torch.float64) / steps).numpy()
    np.testing.assert_allclose(ours, table, rtol=1e-12)
    # gamma = -log SNR at both ends and in the middle, from the formula alone.
    assert -np.log(ours[0] / (1 - ours[0])) == pytest.approx(np.log(s / (1 - s)), rel=1e-12)
    assert ours[500] == pytest.approx(0.5625 * (1 - 2 * s) + s, rel=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_perfect_output_gives_back_x0(objective):
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 5, 3, generator=generator)
    level = NoiseLevel.at("cosine", torch.linspace(0.1, 0.9, 5))
    x = level.alpha * x0 + level.sigma * eps
    output = target(objective, x0, eps, level.alpha, level.sigma)
    torch.testing.assert_close(to_x0(objective, output, x, level.alpha, level.sigma), x0, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_samplers_draw_from_the_data_given_the_exact_denoiser(sampler, objective, schedule):
    denoiser = Denoiser(ExactGaussian(objective, schedule), objective, schedule)
    x = sample(denoiser, draws(4000)[0], 200, sampler)
    # What the start from N(0, 1) lacks of the chain's end is kept to the end where nothing is drawn on the way.
    end = NoiseLevel.at(schedule, torch.ones(1))
    lost = STD * end.alpha * MEAN / (end.alpha**2 * STD**2 + end.sigma**2).sqrt() if sampler != "ddpm" else 0
    assert x.mean().item() == pytest.approx(float(MEAN - lost), abs=0.03)
    assert x.std().item() == pytest.approx(STD, rel=0.06)


def test_ddim_uses_the_start_alone_and_ddpm_one_draw_per_step():
    denoiser = Denoiser(ExactGaussian("v", "cosine"), "v", "cosine")
    for sampler, expected in (("ddim", 1), ("dpmpp", 1), ("ddpm", 11)):
        noise, drawn = draws(50)
        sample(denoiser, noise, 10, sampler)
        assert len(drawn) == expected


@pytest.mark.parametrize("objective", ["x0", "v"])  # eps says nothing of x_0 at pure noise
def test_ddim_is_of_first_order_and_dpmpp_of_a_higher_one(objective):
    denoiser = Denoiser(ExactGaussian(objective, "cosine"), objective, "cosine").double()

    def error(sampler: str, steps: int) -> float:
        start = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
        # The flow takes a normal number to the same quantile of the data.
        return (sample(denoiser, lambda: start, steps, sampler) - (MEAN + STD * start)).abs().max().item()

    # Second order needs small steps of log(alpha / sigma), which those next to pure noise never are: 1.5 is left.
    for sampler, order in (("ddim", 1), ("dpmpp", 1.5)):
        assert np.log2(error(sampler, 100) / error(sampler, 200)) == pytest.approx(order, abs=0.2)
    assert error("dpmpp", 20) < 0.2 * error("ddim", 20)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_striding_over_the_chain_gives_the_same_data(sampler):
    denoiser = Denoiser(ExactGaussian("eps", "polynomial_2"), "eps", "polynomial_2")
    few, many = (sample(denoiser, draws(4000)[0], steps, sampler) for steps in (50, 1000))
    assert few.mean().item() == pytest.approx(many.mean().item(), abs=0.03)
    assert few.std().item() == pytest.approx(many.std().item(), rel=0.1)


def test_the_loss_of_the_exact_denoiser_is_the_irreducible_one():
    denoiser = Denoiser(ExactGaussian("x0", "cosine"), "x0", "cosine")
    generator = torch.Generator().manual_seed(0)
    x0 = MEAN + STD * torch.randn(20000, 1, generator=generator)
    loss = denoiser.square_error(x0, torch.full((20000,), 0.5), torch.randn(20000, 1, generator=generator)).mean()
    # Posterior variance of x0 given x_t at alpha^2 = sigma^2 = 1/2.
    assert loss.item() == pytest.approx(STD**2 * 0.5 / (0.5 * STD**2 + 0.5), rel=0.03)


def test_each_sample_has_its_own_stream():
    together, alone = Streams.of(3, range(10, 20)), Streams.of(3, range(14, 15))
    for _ in range(3):
        assert torch.equal(together.normal(4)[4:5], alone.normal(4))
    assert not torch.equal(Streams.of(3, range(14, 15)).normal(4), Streams.of(4, range(14, 15)).normal(4))
    assert len({stream_seed(seed, index) for seed in range(20) for index in range(500)}) == 10_000


def test_noise_of_atoms_does_not_depend_on_company_or_padding():
    counts = [3, 7, 5]
    together = Streams.of(1, range(3)).normal_atoms(counts, 4)
    assert together.shape == (3, 7, 4)
    for row, count in enumerate(counts):
        alone = Streams.of(1, range(3)).take([row]).normal_atoms([count], 4)
        assert torch.equal(together[row, :count], alone[0])
        assert not together[row, count:].any()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_imperfect_network_still_samples_near_the_data(objective):
    class Imperfect(ExactGaussian):
        def forward(self, x, t, condition=None):
            return super().forward(x, t) + 0.02

    # alpha is exactly zero at t = 1 of the cosine schedule: the error of eps must not be blown up by 1 / alpha.
    denoiser = Denoiser(Imperfect(objective, "cosine"), objective, "cosine", limit=8)
    x = sample(denoiser, draws(2000)[0], 50, "ddim")
    assert x.mean().item() == pytest.approx(MEAN, abs=0.25)
    assert x.std().item() == pytest.approx(STD, rel=0.25)
