import numpy as np
import pytest
import torch

from latent3d.graphs.ragged import RaggedTensor, by_size, in_parts

PARTS = [np.arange(n * 2, dtype=np.int16).reshape(n, 2) + 10 * n for n in (3, 1, 4)]


@pytest.fixture(scope="module")
def ragged():
    return RaggedTensor.of(PARTS, np.zeros((0, 2), np.int16))


def test_arrays_come_back_as_they_were(ragged):
    assert ragged.values.dtype == torch.int16
    assert len(ragged) == 3 and ragged.counts.tolist() == [3, 1, 4]
    for part, again in zip(PARTS, ragged, strict=True):
        np.testing.assert_array_equal(part, again)
    assert [part.tolist() for part in ragged.take([2, 0])] == [PARTS[2].tolist(), PARTS[0].tolist()]


def test_a_batch_is_as_long_as_its_longest_and_zero_elsewhere(ragged):
    for rows, width in ((torch.tensor([1, 0]), 3), (np.array([1]), 1), ([2, 2, 1], 4), (None, 4)):
        batch, mask = ragged.padded(rows), ragged.mask(rows)
        chosen = PARTS if rows is None else [PARTS[row] for row in np.asarray(rows)]
        assert batch.shape == (len(chosen), width, 2) and mask.shape == (len(chosen), width)
        for part, row, there in zip(chosen, batch, mask, strict=True):
            np.testing.assert_array_equal(row[: len(part)], part)
            assert not row[len(part) :].any()
            assert there.tolist() == [True] * len(part) + [False] * (width - len(part))


def test_what_is_not_finite_does_not_leak_into_padding():
    ragged = RaggedTensor.of([np.array([np.nan]), np.array([1.0, 2.0])], np.zeros(0))
    assert ragged.padded()[0, 1] == 0


def test_empty_arrays_and_none_at_all():
    empty = np.zeros((0, 3), np.int16)
    ragged = RaggedTensor.of([empty, empty], empty)
    assert ragged.padded().shape == (2, 0, 3) and ragged.mask([1]).shape == (1, 0)
    assert RaggedTensor.of([], empty).padded().shape == (0, 0, 3)


def test_rows_can_be_dropped(ragged):
    kept = ragged.values[:, 0].numpy() % 4 == 0
    assert [part.tolist() for part in ragged.where(kept)] == [part[part[:, 0] % 4 == 0].tolist() for part in PARTS]


@pytest.mark.parametrize(("rows", "pairs"), [(4, 10**9), (10**9, 300), (3, 300), (10**9, 1)])
def test_parts_hold_all_molecules_once_within_both_bounds(rows, pairs):
    sizes = np.random.default_rng(0).integers(1, 15, 60)
    sizes[17] = 40  # has more pairs by itself
    for parts, order in (
        (in_parts(sizes, rows, pairs), np.arange(60)),
        (by_size(sizes, rows, pairs), np.argsort(sizes)),
    ):
        assert sizes[np.concatenate(parts)].tolist() == sizes[order].tolist()
        assert sorted(np.concatenate(parts).tolist()) == list(range(60))
        for part, following in zip(parts, [*parts[1:], None], strict=True):
            assert len(part) == 1 or (len(part) <= rows and len(part) * sizes[part].max() ** 2 <= pairs)
            if following is not None:  # there was no room for one more
                more = np.append(part, following[0])
                assert len(more) > rows or len(more) * sizes[more].max() ** 2 > pairs
    assert in_parts(sizes[:0], rows, pairs) == by_size(sizes[:0], rows, pairs) == []


def test_small_molecules_are_in_parts_of_a_fixed_number():
    assert [len(part) for part in by_size(np.random.default_rng(0).integers(3, 30, 450), 200)] == [200, 200, 50]
