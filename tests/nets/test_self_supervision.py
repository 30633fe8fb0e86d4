import math

import pytest
import torch

from latent3d.nets.self_supervision import (
    DROPPED,
    MASKED,
    SelfSupervision,
    View,
    global_local_loss,
    masked_loss,
    two_view_loss,
)
from latent3d.nets.settings import SelfSupervised


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_closed_forms():
    # Three graphs whose codes are orthogonal and equal to all of their nodes: s_ii = 1, s_ij = 0.
    codes, owner = 3 * torch.eye(3), torch.arange(3).repeat_interleave(40)
    own = codes[owner] * torch.rand(120, 1, generator=generator())
    assert global_local_loss(codes, own, owner, generator()).item() == pytest.approx(math.log(2) - 1)
    # The nodes of the next graph instead: s_ii = 0, one of the others is 1.
    assert global_local_loss(codes, own.roll(40, 0), owner, generator()).item() == pytest.approx(math.log(1 + math.e))


def test_it_is_the_mean_of_the_kept_nodes():
    codes, nodes = torch.randn(4, 5, generator=generator(1)), torch.randn(200, 5, generator=generator(2))
    owner = torch.arange(4).repeat(50)
    kept = torch.rand(200, generator=generator(7)) >= DROPPED
    assert 0.7 < kept.float().mean() < 0.9
    local = torch.stack([nodes[kept & (owner == graph)].mean(0) for graph in range(4)])
    s = torch.cosine_similarity(codes[:, None], local[None], dim=-1)
    expected = -torch.stack(
        [s[i, i] - torch.stack([s[i, j] for j in range(4) if j != i]).exp().sum().log() for i in range(4)]
    ).mean()
    torch.testing.assert_close(global_local_loss(codes, nodes, owner, generator(7)), expected)
    assert global_local_loss(codes, nodes, owner, generator(8)) != expected


def test_two_views_at_their_temperature():
    # Views that agree, of three graphs with orthogonal codes: s_ii = 1, s_ij = 0, at temperature 0.1.
    assert two_view_loss(2 * torch.eye(3), torch.eye(3)).item() == pytest.approx(math.log(2) - 10, abs=1e-5)
    assert two_view_loss(torch.eye(3), torch.eye(3).roll(1, 0)).item() == pytest.approx(math.log(math.e**10 + 1))


def test_a_molecule_alone_has_nothing_to_differ_from():
    code = torch.randn(1, 3, requires_grad=True)
    loss = two_view_loss(code, code)
    loss.backward()
    assert loss == 0 and code.grad.isfinite().all()


def test_cosines_keep_their_precision_under_autocast():
    first, second = torch.randn(8, 16, generator=generator(1)), torch.randn(8, 16, generator=generator(2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = two_view_loss(first, second)
    assert mixed.dtype == torch.float32 and mixed.item() == pytest.approx(two_view_loss(first, second).item())


def test_only_hidden_atoms_are_to_be_said():
    classes, hidden = torch.tensor([0, 1, 2, 1]), torch.tensor([True, False, False, True])
    logits = torch.full((4, 3), -30.0)
    logits[torch.arange(4), torch.tensor([0, 2, 0, 2])] = 0  # of the hidden ones, the first is right
    assert masked_loss(logits, classes, hidden).item() == pytest.approx(15)
    assert masked_loss(logits, classes, torch.zeros(4, dtype=torch.bool)) == 0


def settings(method):
    return SelfSupervised(self_supervision=method, self_supervision_weight=0.25)


@pytest.mark.parametrize(("method", "share", "times"), [("two_view", DROPPED, 2), ("masked_attributes", MASKED, 1)])
def test_what_is_hidden(method, share, times):
    count, seen = 3000, []
    view = View(torch.randn(5, 4), torch.randn(count, 6), torch.arange(5).repeat_interleave(count // 5))
    term = SelfSupervision(settings(method), code=4, width=6, classes=7)

    def hide(hidden):
        seen.append(hidden)
        return View(view.codes + hidden.float().mean(), view.nodes, view.batch)

    classes = torch.randint(7, (count,), generator=generator())
    losses = term({"loss": torch.tensor(2.0)}, view, hide, classes, generator(3))
    assert losses["loss"].item() == pytest.approx(2 + 0.25 * losses["self_supervision"].item())
    assert len(seen) == times and len({tuple(hidden.tolist()) for hidden in seen}) == times
    for hidden in seen:
        assert hidden.float().mean().item() == pytest.approx(share, abs=0.03)
    losses["loss"].backward()
    assert all(parameter.grad is not None for parameter in term.parameters())


def test_none_adds_nothing():
    losses = {"loss": torch.tensor(2.0)}
    term = SelfSupervision(settings("none"), 4, 6, 7)
    assert term(losses, None, None, None, None) is losses and not list(term.parameters())
