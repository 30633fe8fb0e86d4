"""Guided models against the distributions that guidance gives in closed form for Gaussian data."""

import math

import pytest
import torch
from exact_gaussian import MEAN, STD, ExactConditional, ExactGaussian, draws
from torch import nn

from latent3d.diffusion.guidance import Autoguided, ClassifierFree, RegressorGuided
from latent3d.diffusion.objectives import OBJECTIVES, Denoiser, NoiseLevel
from latent3d.diffusion.points import PointCondition, PointNetwork, point_denoiser, without_gravity
from latent3d.diffusion.samplers import SAMPLERS, sample
from latent3d.nets.egnn import EGNN


@pytest.mark.parametrize("weight", [1.0, 2.0, 3.0])
def test_autoguidance_narrows_a_gaussian_by_its_closed_form(weight):
    # In x / alpha and s = sigma / alpha, D_i = mean + std_i^2 / (std_i^2 + s^2) (x - mean), and the probability flow
    # dx/ds = (x - D) / s has the solution std = std_1 (std_1 / std_2)^(w - 1) at s = 0.
    strong, weak = 0.4, 0.5
    denoisers = [Denoiser(ExactGaussian("v", "cosine", std), "v", "cosine") for std in (strong, weak)]
    drawn = sample(Autoguided(*denoisers, weight), draws(20000)[0], 200, "dpmpp")
    assert drawn.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert drawn.std().item() == pytest.approx(strong * (strong / weak) ** (weight - 1), rel=0.02)


def test_autoguidance_keeps_to_the_limit_of_predictions():
    far = Denoiser(ExactGaussian("x0", "cosine", 10.0), "x0", "cosine", limit=2.0)
    guided = Autoguided(far, Denoiser(ExactGaussian("x0", "cosine", 0.1), "x0", "cosine", limit=2.0), 5.0)
    assert guided.predict_x0(torch.tensor([[9.0], [-9.0]]), torch.full((2,), 0.3)).tolist() == [[2.0], [-2.0]]


S = math.hypot(1, STD)  # standard deviation of the data without a condition
# The same flow for D = D(none) + w (D(c) - D(none)), where data are N(c, STD^2) with a condition c and N(MEAN, S^2)
# without, is dx/ds = s (w (x - c) / (STD^2 + s^2) + (1 - w) (x - MEAN) / (S^2 + s^2)). By the variation of constants,
# it brings the mean to MEAN + f (c - MEAN), with these f by w:
MOVED = {0.0: 0, 1.0: 1, 2.0: 1 + STD**2 / S * math.atanh(1 / S), 3.0: (1 + 3 * STD**2) / S**2}


@pytest.mark.parametrize("weight, moved", MOVED.items())
def test_classifier_free_guidance_moves_and_narrows_a_gaussian_by_its_closed_form(weight, moved):
    model = Denoiser(ExactConditional("v", "cosine"), "v", "cosine")
    condition = torch.full((20000, 1), MEAN + 2)
    drawn = sample(ClassifierFree(model, weight), draws(20000)[0], 200, "dpmpp", condition)
    assert drawn.mean().item() == pytest.approx(MEAN + 2 * moved, abs=0.02)
    assert drawn.std().item() == pytest.approx(STD * (STD / S) ** (weight - 1), rel=0.02)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_a_linear_energy_moves_a_gaussian_by_its_closed_form(sampler, weight):
    # p(x) exp(-w E) with E = 2 x is N(MEAN - 2 w STD^2, STD^2). The prediction of x_0 is all that E needs to see, since
    # the variance of x_0 given x_t is the same for all x_t.
    model = Denoiser(ExactGaussian("v", "cosine"), "v", "cosine")
    guided = RegressorGuided(model, lambda x0, t, condition: 2 * x0.squeeze(1), weight)
    drawn = sample(guided, draws(20000)[0], 200, sampler)
    assert drawn.mean().item() == pytest.approx(MEAN - 2 * weight * STD**2, abs=0.02)
    assert drawn.std().item() == pytest.approx(STD, rel=0.03)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_errors_of_the_gradient_at_pure_noise_are_not_blown_up(objective):
    class Imperfect(ExactGaussian):
        def forward(self, x, t, condition=None):
            return super().forward(x, t) + 0.02 * x

    model = Denoiser(Imperfect(objective, "cosine"), objective, "cosine", limit=8)
    guided = RegressorGuided(model, lambda x0, t, condition: 2 * x0.squeeze(1), 1.0)
    x, t = draws(10)[0](), torch.ones(10)
    assert torch.equal(guided.predict_x0(x, t), model.predict_x0(x, t))  # alpha is zero but for rounding


def left(t):
    """Variance of x_0 given x_t."""
    level = NoiseLevel.at("cosine", t)
    return STD**2 * level.sigma**2 / (level.alpha**2 * STD**2 + level.sigma**2)


def unlikely(x0, t, y):
    """-log p(y | x_t) of measurements y = x_0 + noise of std 0.3, given the prediction of x_0; but for a constant."""
    return ((x0 - y) ** 2 / (2 * (0.3**2 + left(t)))).squeeze(1)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_likelihood_of_a_measurement_gives_the_posterior_at_every_time(objective):
    model = Denoiser(ExactGaussian(objective, "cosine"), objective, "cosine").double()
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 99, 1, generator=generator, dtype=torch.float64)
    t = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    plain = model.predict_x0(x, t)
    bayes = plain + left(t) / (left(t) + 0.3**2) * (y - plain)  # E[x_0 | x_t, y]
    torch.testing.assert_close(RegressorGuided(model, unlikely, 1.0).predict_x0(x, t, y), bayes, rtol=1e-9, atol=1e-9)


def test_the_likelihood_of_a_measurement_draws_from_the_posterior():
    model = Denoiser(ExactGaussian("v", "cosine"), "v", "cosine")
    drawn = sample(RegressorGuided(model, unlikely, 1.0), draws(20000)[0], 200, "dpmpp", torch.full((20000, 1), 2.0))
    precision = 1 / STD**2 + 1 / 0.3**2
    assert drawn.mean().item() == pytest.approx((MEAN / STD**2 + 2.0 / 0.3**2) / precision, abs=0.01)
    assert drawn.std().item() == pytest.approx(precision**-0.5, rel=0.02)


def test_guided_models_are_guided_again():
    # Moved by the condition, then by an energy: N(c - 2 STD^2, STD^2); led away from itself, the same.
    model = Denoiser(ExactConditional("v", "cosine"), "v", "cosine")
    moved = RegressorGuided(ClassifierFree(model, 1.0), lambda x0, t, condition: 2 * x0.squeeze(1), 1.0)
    drawn = sample(Autoguided(moved, moved, 3.0), draws(20000)[0], 200, "dpmpp", torch.full((20000, 1), MEAN - 1))
    assert drawn.mean().item() == pytest.approx(MEAN - 1 - 2 * STD**2, abs=0.02)
    assert drawn.std().item() == pytest.approx(STD, rel=0.02)


def test_an_energy_leaves_point_clouds_without_centre_of_gravity_and_padding_empty():
    torch.manual_seed(0)
    model = point_denoiser(PointNetwork(EGNN, 2, 16, 2, 1.0)).double()
    for p in model.parameters():
        nn.init.normal_(p, std=0.1)
    mask = torch.arange(6) < torch.tensor([6, 4, 2])[:, None]
    generator = torch.Generator().manual_seed(0)
    z = without_gravity(torch.randn(3, 6, 5, generator=generator, dtype=torch.float64), mask)
    t, condition = torch.full((3,), 0.5, dtype=torch.float64), PointCondition(mask)

    def size(z0, t, condition):  # of the molecule: invariant, of its atoms alone
        return (z0[..., :3].square().sum(-1) * condition.mask).sum(1)

    plain, guided = (one.predict_x0(z, t, condition) for one in (model, RegressorGuided(model, size, 0.01)))
    assert (size(guided, t, condition) < size(plain, t, condition)).all()
    assert guided[..., :3].sum(1).abs().max() < 1e-10
    assert not guided[~mask].any()
    assert not guided.requires_grad
