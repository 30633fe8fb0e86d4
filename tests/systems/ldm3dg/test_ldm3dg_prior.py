"""The 500-d diffusion of LDM-3DG: size, chain, codes as released and corrected."""

import numpy as np
import pytest
import torch

from latent3d import plan
from latent3d.base.run import Run
from latent3d.diffusion.latents import PCAWhitening
from latent3d.diffusion.objectives import NoiseLevel
from latent3d.diffusion.samplers import sample
from latent3d.diffusion.schedules import linear_500, linear_500_zero
from latent3d.diffusion.streams import Streams
from latent3d.plan import Row
from latent3d.systems.ldm3dg.prior import TIMES, CodeDiffusion, ResidualStacks
from latent3d.training.loop import train

SMALL = {
    "width": 128,
    "layers": 3,
    "steps": 700,
    "batch_size": 128,
    "learning_rate": 0.002,
    "decay": "linear",
    "ema": 0.9,
}


def settings(system, **changed):
    return plan.settings(Row(base=system, overrides={"diffusion": changed}), "diffusion", "default")


@pytest.mark.parametrize("system", ["ldm3dg", "ldm3dg_corrected"])
def test_number_of_parameters_is_the_authors(system):
    h = settings(system)
    widths = (250, 250) if h.codes == "raw" else (32, 250)
    with torch.device("meta"):
        network = CodeDiffusion(widths, h).denoiser.network
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(280e6, rel=0.01)


def test_the_released_chain_ends_with_signal_left_and_the_corrected_one_without():
    k = torch.arange(TIMES + 1, dtype=torch.float64)
    beta = np.linspace(1e-4, 0.02, TIMES)
    np.testing.assert_allclose(linear_500(k / TIMES)[1:], np.cumprod(1 - beta), rtol=1e-9)
    assert linear_500(torch.ones(1)).item() == pytest.approx(0.00635, abs=5e-6)
    assert linear_500(torch.zeros(1)).item() == 1
    end = NoiseLevel.at("linear_500_zero", torch.ones(3))
    assert (end.alpha == 0).all() and (end.sigma == 1).all()  # a signal-to-noise ratio of exactly zero
    fixed = linear_500_zero(k / TIMES)
    assert fixed[0] == 1 and (fixed.diff() < 0).all()
    between = linear_500(torch.tensor([0.5 / TIMES], dtype=torch.float64)).item()
    assert between == pytest.approx((1 - 1e-4) ** 0.5)


def test_ancestral_sampling_is_that_of_the_chain():
    """One step from x_k by the textbook's formulas (Ho et al. 2020, eq. 7 and 11)."""
    h = settings("ldm3dg", width=16, layers=2)
    torch.manual_seed(0)
    denoiser = CodeDiffusion((2, 2), h).denoiser
    beta = torch.linspace(1e-4, 0.02, TIMES, dtype=torch.float64)
    alpha_bar = torch.cumprod(1 - beta, 0)
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randn(3, 4, generator=generator) for _ in range(TIMES + 1)]
    x = draws[0].double()
    with torch.no_grad():
        for k in range(TIMES, 0, -1):
            eps = denoiser.network(x.float(), torch.full((3,), k / TIMES)).double()
            b, bar = beta[k - 1], alpha_bar[k - 1]
            before = alpha_bar[k - 2] if k > 1 else torch.tensor(1.0, dtype=torch.float64)
            mean = (x - b / (1 - bar).sqrt() * eps) / (1 - b).sqrt()
            x = mean + (b * (1 - before) / (1 - bar)).sqrt() * draws[TIMES + 1 - k].double()
    noise = iter(draws)
    found = sample(denoiser, lambda: next(noise), TIMES, "ddpm")
    torch.testing.assert_close(found.double(), x, atol=2e-3, rtol=2e-3)


def test_every_time_has_its_own_vector():
    network = ResidualStacks(3, 8, 1)
    x = torch.zeros(TIMES, 3)
    with torch.no_grad():
        network.time.weight[:, 0] = torch.arange(TIMES)
        out = network(x, torch.arange(1, TIMES + 1) / TIMES)
    assert len(out.unique(dim=0)) == TIMES


def test_whitened_codes_are_independent_and_come_back():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(4, 4, generator=generator)
    codes = torch.randn(5000, 4, generator=generator) @ mixing + 3
    white = PCAWhitening(4)
    white.fit(codes)
    torch.testing.assert_close(torch.cov(white(codes).T), torch.eye(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(white.restore(white(codes)), codes, atol=1e-4, rtol=1e-4)
    flat = torch.cat([codes[:, :2], codes[:, :2]], 1)  # of rank two
    white.fit(flat)
    assert white(flat).abs().max() < 10
    torch.testing.assert_close(white.restore(white(flat)), flat, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("system", ["ldm3dg", "ldm3dg_corrected"])
def test_what_is_drawn_has_the_moments_of_the_codes(system, tmp_path):
    generator = torch.Generator().manual_seed(0)
    first = torch.tanh(torch.randn(2000, 1, generator=generator) * torch.tensor([0.8, 0.2]))
    second = torch.tanh(first @ torch.tensor([[1.0, -0.5], [0.0, 1.0]]) + 0.2)
    codes = torch.cat([first, second], 1)
    h = settings(system, **SMALL)
    torch.manual_seed(0)
    model = CodeDiffusion((2, 2), h)
    model.codes.fit(codes)

    def loss(model, rows, generator, _):
        return model(codes[rows], generator)

    model.load_state_dict(train("diffusion", model, np.ones(2000), loss, h, Run(0, tmp_path)).weights)
    drawn = model.draw(Streams.of(0, range(500)), 100, "ddpm")
    if system == "ldm3dg":
        assert drawn.abs().max() <= 1
    np.testing.assert_allclose(drawn.mean(0), codes.mean(0), atol=0.08)
    np.testing.assert_allclose(torch.cov(drawn.T), torch.cov(codes.T), atol=0.08)
