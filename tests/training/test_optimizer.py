"""Clipping by recent norms, work in parts, and resuming with both."""

import numpy as np
import pytest
import torch
from torch import nn

from latent3d.base.errors import StoppedEarly
from latent3d.base.run import Run
from latent3d.training.loop import parts, train
from latent3d.training.optimizer import RecentClip, learning_rate_factor
from latent3d.training.settings import RecentClipping

SETTINGS = RecentClipping(
    **{"steps": 40, "batch_size": 16, "learning_rate": 1e-2, "weight_decay": 1e-12, "beta_2": 0.999, "amsgrad": True},
    **{"warmup": 0, "decay": "constant", "clip_window": 5, "ema": 0.9},
)
SIZES = np.random.default_rng(0).integers(2, 9, 64)


def edm_queue(norms, window):
    """What EDM's loop does with a queue, as a plain loop: the norms after clipping."""
    queue, clipped = [3000.0], []
    for norm in norms:
        limit = 1.5 * np.mean(queue) + 2 * np.std(queue)
        clipped.append(min(norm, limit))
        queue = [clipped[-1], *queue][:window]
    return clipped


def test_recent_clip_is_edms_queue():
    norms = np.exp(np.random.default_rng(0).normal(0, 1.5, 40))
    clip, weight = RecentClip(5), nn.Linear(3, 1, bias=False)
    found = []
    for step, norm in enumerate(norms):
        weight.weight.grad = torch.tensor([[norm, 0.0, 0.0]], dtype=torch.float32)
        clip(weight, step)
        found.append(weight.weight.grad.norm().item())
    expected = edm_queue(norms, 5)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert sum(f < n * 0.99 for f, n in zip(found, norms, strict=True)) > 3


def test_learning_rates():
    linear = SETTINGS.model_copy(update={"steps": 100, "warmup": 10, "decay": "linear"})
    factors = [learning_rate_factor(step, linear) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[9] == pytest.approx(0.91)
    assert factors[-1] == pytest.approx(0.01)
    assert learning_rate_factor(99, linear.model_copy(update={"decay": "constant"})) == 1


def test_parts_cover_the_batch_within_the_limit():
    rows = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    found = parts(rows, SIZES, 200)
    assert sorted(torch.cat(found).tolist()) == list(range(64))
    assert all(len(part) * int(SIZES[part].max()) ** 2 <= 200 for part in found)
    assert len(found) > 10
    assert parts(rows, SIZES, None) == [rows]
    assert all(len(part) == 1 for part in parts(rows, SIZES, 1))


def toy(tmp_path, name, pairs=None, **run):
    generator = torch.Generator().manual_seed(0)
    x, target = torch.randn(64, 5, generator=generator), torch.randn(5, 1, generator=generator)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))

    def loss(model, rows, generator, step):
        return {"loss": (model(x[rows]) - x[rows] @ target).square().mean()}

    return train("toy", model, SIZES, loss, SETTINGS, Run(0, tmp_path / name, **run), pairs)


def test_work_in_parts_takes_the_same_steps(tmp_path):
    whole, in_parts = toy(tmp_path, "whole"), toy(tmp_path, "parts", 100)
    for key, value in whole.weights.items():
        torch.testing.assert_close(in_parts.weights[key], value, rtol=1e-4, atol=1e-6)
    assert in_parts.log[-1]["loss"] == pytest.approx(whole.log[-1]["loss"], rel=1e-4)


def test_stopping_after_every_step_changes_no_byte(tmp_path):
    whole = toy(tmp_path, "whole", 100)
    stops = 0
    while True:
        try:
            found = toy(tmp_path, "stopped", 100, time_limit=0.0)
            break
        except StoppedEarly:
            stops += 1
    assert stops == SETTINGS.steps - 1
    for key, value in whole.weights.items():
        assert torch.equal(found.weights[key], value)
