import pytest
import torch

from latent3d.nets.transformer import KeyValues, TransformerBlock

PREFIX, TOKENS = 5, 12


@pytest.fixture(scope="module")
def block():
    torch.manual_seed(0)
    return TransformerBlock(32, 4).eval()


@pytest.fixture(scope="module")
def x():
    return torch.randn(3, PREFIX + TOKENS, 32, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def whole(block, x):
    """All tokens at once: those of the prefix see one another, each further one what is before it."""
    bias = torch.full((x.shape[1], x.shape[1]), float("-inf")).triu(1)
    bias[:PREFIX, :PREFIX] = 0
    return block(x, bias[None, None])


@torch.no_grad()
def test_token_by_token_is_the_same_as_all_at_once(block, x):
    past = KeyValues()
    made = [block.extend(part, past) for part in (x[:, :PREFIX], *x[:, PREFIX:].split(1, 1))]
    torch.testing.assert_close(torch.cat(made, 1), whole(block, x), atol=1e-5, rtol=1e-5)
    assert past.length == PREFIX + TOKENS


@torch.no_grad()
def test_sequences_may_leave(block, x):
    expected, past = whole(block, x), KeyValues()
    block.extend(x[:, :PREFIX], past)
    rows = torch.arange(3)
    for step in range(PREFIX, PREFIX + TOKENS):
        made = block.extend(x[rows, step : step + 1], past)
        torch.testing.assert_close(made[:, 0], expected[rows, step], atol=1e-5, rtol=1e-5)
        if step == PREFIX + 4:
            kept = torch.tensor([True, False, True])
            rows = rows[kept]
            past.keep(kept)
