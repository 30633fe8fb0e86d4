"""DDIM inversion: data to the noise that gives them back."""

import pytest
import torch
from exact_gaussian import MEAN, STD, ExactConditional, ExactGaussian

from latent3d.diffusion.guidance import ClassifierFree
from latent3d.diffusion.objectives import OBJECTIVES, Denoiser
from latent3d.diffusion.samplers import invert, sample
from latent3d.diffusion.schedules import SCHEDULES

DATA = MEAN + STD * torch.linspace(-3, 3, 13, dtype=torch.float64)[:, None]


def round_trip(model, steps, fixed_points, condition=None):
    """Largest error of data that were inverted and drawn again."""
    noise = invert(model, DATA, steps, condition, fixed_points)
    return (sample(model, lambda: noise, steps, "ddim", condition) - DATA).abs().max().item()


@pytest.mark.parametrize("fixed_points", [1, 3])
def test_the_noise_of_a_gaussian_is_its_quantile_in_the_limit_of_many_steps(fixed_points):
    model = Denoiser(ExactGaussian("v", "cosine"), "v", "cosine").double()
    expected = (DATA - MEAN) / STD
    few, many = ((invert(model, DATA, n, None, fixed_points) - expected).abs().max().item() for n in (200, 400))
    assert few / many == pytest.approx(2, abs=0.1)  # DDIM is of first order
    assert many < 0.02


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_what_was_inverted_is_drawn_again(objective, schedule):
    model = Denoiser(ExactGaussian(objective, schedule), objective, schedule).double()
    assert round_trip(model, 50, 20) < 1e-9


@pytest.mark.parametrize("fixed_points", [1, 2, 3])
def test_the_error_of_a_round_trip_falls_with_steps_by_the_order_of_the_iterations(fixed_points):
    model = Denoiser(ExactGaussian("v", "cosine"), "v", "cosine").double()
    few, many = (round_trip(model, steps, fixed_points) for steps in (100, 200))
    assert few / many == pytest.approx(2**fixed_points, rel=0.1)


def test_a_guided_model_is_inverted_as_well():
    model = ClassifierFree(Denoiser(ExactConditional("v", "cosine"), "v", "cosine").double(), 2.0)
    condition = torch.full_like(DATA, MEAN + 1)
    assert round_trip(model, 50, 1, condition) > 1e-3
    assert round_trip(model, 50, 20, condition) < 1e-9
