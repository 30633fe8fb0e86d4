import numpy as np
import torch

from latent3d.training.batches import Batches, pairs_at_once
from latent3d.training.ema import ema_update


def test_an_epoch_sees_every_molecule_once_in_batches_of_similar_size():
    sizes = np.random.default_rng(0).integers(3, 30, 960)
    batches = Batches(sizes, 32, seed=1)
    epoch = [batches(step).numpy() for step in range(30)]
    assert sorted(np.concatenate(epoch).tolist()) == list(range(960))
    spread = np.mean([np.ptp(sizes[rows]) for rows in epoch])
    assert spread < 0.35 * np.ptp(sizes)
    assert not np.array_equal(epoch[0], batches(30).numpy())


def test_a_step_is_a_function_of_seed_and_step():
    sizes = np.arange(100)
    forward = Batches(sizes, 10, seed=1)
    steps = [forward(step) for step in range(40)]
    assert torch.equal(Batches(sizes, 10, seed=1)(37), steps[37])
    assert not torch.equal(Batches(sizes, 10, seed=2)(37), steps[37])


def test_fewer_molecules_than_a_batch_are_one_batch():
    assert len(Batches(np.ones(5), 64, seed=0)(7)) == 5


def test_only_batches_that_are_too_large_are_worked_through_in_parts():
    qm9, drugs = np.array([29] * 5000), np.array([44] * 4000 + [181])
    for batch_size in (16, 32, 64):  # of all presets for a processor
        assert pairs_at_once(qm9, batch_size, "cpu") is None
    assert pairs_at_once(qm9, 1024, "cuda") is None
    assert pairs_at_once(drugs, 32, "cpu") == 2**18
    assert pairs_at_once(drugs, 1024, "cuda") == 2**20
    assert pairs_at_once(drugs[-3:], 1024, "cpu") is None  # no more than three can come together


def test_ema_is_the_weighted_mean_it_claims_to_be():
    model = torch.nn.Linear(1, 1, bias=False)
    ema = {"weight": torch.zeros(1, 1)}
    expected = 0.0
    for step, value in enumerate([1.0, 2.0, -1.0, 4.0] * 10):
        model.weight.data.fill_(value)
        ema_update(ema, model, 0.5, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    np.testing.assert_allclose(ema["weight"].item(), expected, rtol=1e-5)
