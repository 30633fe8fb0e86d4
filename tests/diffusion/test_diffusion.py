import pytest
import torch
from torch import nn

from latent3d.diffusion.objectives import OBJECTIVES, Denoiser, NoiseLevel, target, to_x0
from latent3d.diffusion.samplers import SAMPLERS, per_sample_noise, sample, stream_seed
from latent3d.diffusion.schedules import SCHEDULES, cosine, linear

MEAN, STD = 1.5, 0.4


class ExactGaussian(nn.Module):
    """The output that an ideal network would have for data N(MEAN, STD^2), under any objective and schedule."""

    def __init__(self, objective, schedule):
        super().__init__()
        self.objective, self.schedule = objective, schedule

    def forward(self, x, t):
        level = NoiseLevel.at(self.schedule, t)
        variance = level.alpha**2 * STD**2 + level.sigma**2
        x0 = MEAN + level.alpha * STD**2 / variance * (x - level.alpha * MEAN)
        eps = (x - level.alpha * x0) / level.sigma.clamp(min=1e-6)
        return target(self.objective, x0, eps, level.alpha, level.sigma)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_schedules_fall_from_one_to_nearly_zero(name):
    t = torch.linspace(0, 1, 101)
    alpha_bar = SCHEDULES[name](t)
    assert alpha_bar[0] == 1
    assert alpha_bar[-1] < 1e-4
    assert (alpha_bar.diff() < 0).all()


def test_schedules_have_their_published_values():
    torch.testing.assert_close(cosine(torch.tensor([0.5])), torch.tensor([0.5]))
    # Product of 1 - beta over the first 500 of 1000 steps of the linear schedule.
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    product = torch.cumprod(1 - beta, 0)[499].item()
    assert linear(torch.tensor([0.5])).item() == pytest.approx(product, rel=0.02)


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
    noise = torch.randn(201, 4000, 1, generator=torch.Generator().manual_seed(0))
    x = sample(denoiser, noise, sampler)
    assert x.mean().item() == pytest.approx(MEAN, abs=0.03)
    assert x.std().item() == pytest.approx(STD, rel=0.06)


def test_ddim_uses_the_start_alone_and_ddpm_every_draw():
    denoiser = Denoiser(ExactGaussian("v", "cosine"), "v", "cosine")
    noise = torch.randn(11, 50, 1, generator=torch.Generator().manual_seed(0))
    other = torch.cat([noise[:1], noise[1:].flip(1)])
    assert torch.equal(sample(denoiser, noise, "ddim"), sample(denoiser, other, "ddim"))
    assert not torch.equal(sample(denoiser, noise, "ddpm"), sample(denoiser, other, "ddpm"))


def test_the_loss_of_the_exact_denoiser_is_the_irreducible_one():
    denoiser = Denoiser(ExactGaussian("x0", "cosine"), "x0", "cosine")
    generator = torch.Generator().manual_seed(0)
    x0 = MEAN + STD * torch.randn(20000, 1, generator=generator)
    loss = denoiser.loss(x0, torch.full((20000,), 0.5), torch.randn(20000, 1, generator=generator))
    # Posterior variance of x0 given x_t at alpha^2 = sigma^2 = 1/2.
    assert loss.item() == pytest.approx(STD**2 * 0.5 / (0.5 * STD**2 + 0.5), rel=0.03)


def test_each_sample_has_its_own_stream():
    together = per_sample_noise(3, range(10, 20), 5, 4)
    alone = per_sample_noise(3, range(14, 15), 5, 4)
    assert torch.equal(together[:, 4:5], alone)
    assert not torch.equal(per_sample_noise(4, range(14, 15), 5, 4), alone)
    assert len({stream_seed(seed, index) for seed in range(20) for index in range(500)}) == 10_000


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_imperfect_network_still_samples_near_the_data(objective):
    class Imperfect(ExactGaussian):
        def forward(self, x, t):
            return super().forward(x, t) + 0.02

    # alpha is exactly zero at t = 1 of the cosine schedule: the error of eps must not be blown up by 1 / alpha.
    denoiser = Denoiser(Imperfect(objective, "cosine"), objective, "cosine")
    x = sample(denoiser, torch.randn(51, 2000, 1, generator=torch.Generator().manual_seed(0)), "ddim")
    assert x.mean().item() == pytest.approx(MEAN, abs=0.25)
    assert x.std().item() == pytest.approx(STD, rel=0.25)
