import math

import pytest
import torch

from latent3d.nets.contrast import DROPPED, global_local_loss


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
