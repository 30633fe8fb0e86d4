"""Guidance of the released diffusion of graphs by an energy: what is drawn is what the energy makes of samples."""

import pytest

from latent3d.commands.release import released_weights
from latent3d.diffusion.guidance import RegressorGuided
from latent3d.diffusion.samplers import sample
from latent3d.diffusion.streams import Streams
from latent3d.systems.loading import load_prior


@pytest.mark.parametrize("steps", [25, 50])
def test_an_energy_tilts_the_samples_of_a_trained_prior(steps):
    model = load_prior(released_weights("latent3d", "qm9_cpu")["diffusion_2d"], "cpu").model
    start = Streams.of(0, range(256)).normal(72)
    plain = sample(model, lambda: start, steps, "dpmpp")[:, 2]
    guided = RegressorGuided(model, lambda x0, t, condition: -x0[:, 2], 1.0)
    drawn = sample(guided, lambda: start, steps, "dpmpp")
    # The mean under p(x) exp(-E), from samples of p: 0.45, where it was 0.03.
    expected = (plain.softmax(0) * plain).sum().item()
    assert drawn[:, 2].mean().item() == pytest.approx(expected, abs=0.05)
    assert plain.mean().item() < expected - 0.3
