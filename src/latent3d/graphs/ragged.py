"""Arrays of unequal length one after the other: how data sets lie in memory, and how a batch of them is padded."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch

from latent3d.data.records import gather

PAIRS_AT_ONCE = 2**18
"""Pairs of atoms (molecules times the squared size of the largest) that autoencoders encode or decode together: about
1 GB with the features that the largest networks have. 300 molecules of QM9 have fewer."""

Rows = np.ndarray | torch.Tensor


@dataclass(frozen=True)
class RaggedTensor:
    """M arrays of unequal length.

    Attributes:
        values: [A, ...] the rows of all arrays, on any device.
        offsets: [M + 1] int64, array i is values[offsets[i]:offsets[i + 1]]. They stay on the host, so that nobody
            waits for a device to say how long a batch is.
    """

    values: torch.Tensor
    offsets: np.ndarray

    @classmethod
    def of(cls, parts: Iterable[np.ndarray], like: np.ndarray) -> "RaggedTensor":
        """Arrays [., ...] with the shape and type of rows that the empty array `like` [0, ...] has."""
        parts = list(parts)
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)])
        return cls(torch.from_numpy(np.concatenate([like, *parts]).astype(like.dtype, copy=False)), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> torch.Tensor:
        if not 0 <= index < len(self):
            raise IndexError(f"array {index} of {len(self)}")
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    @property
    def counts(self) -> np.ndarray:
        """[M] number of rows of each array."""
        return np.diff(self.offsets)

    def to(self, device: str | torch.device) -> "RaggedTensor":
        """The same with its values on another device."""
        return self.with_values(self.values.to(device))

    def with_values(self, values: torch.Tensor) -> "RaggedTensor":
        """Arrays of the same lengths with other rows [A, ...]."""
        return replace(self, values=values)

    def where(self, kept: np.ndarray) -> "RaggedTensor":
        """The rows that are True in `kept` [A], of values on the host."""
        offsets = np.concatenate([[0], np.cumsum(kept, dtype=np.int64)])[self.offsets]
        return RaggedTensor(self.values[torch.from_numpy(kept)], offsets)

    def take(self, rows: Rows) -> "RaggedTensor":
        """The arrays at `rows` [B]."""
        places, offsets = gather(self.offsets, np.asarray(rows))
        return RaggedTensor(self.values[torch.from_numpy(places).to(self.values.device)], offsets)

    def padded(self, rows: Rows | None = None) -> torch.Tensor:
        """The arrays at `rows` [B] (all without) side by side: [B, N, ...], as long as the longest, zero at padding."""
        first, count = self._extent(rows)
        place = torch.arange(int(count.max(initial=0)), device=self.values.device)
        first, count = (torch.from_numpy(part).to(place.device)[:, None] for part in (first, count))
        padding = place >= count
        found = self.values[(first + place).masked_fill_(padding, 0)]
        return found.masked_fill_(padding.view(*padding.shape, *[1] * (found.ndim - 2)), 0)

    def mask(self, rows: Rows | None = None) -> torch.Tensor:
        """[B, N] bool, False at the padding of `padded`."""
        _, count = self._extent(rows)
        place = torch.arange(int(count.max(initial=0)), device=self.values.device)
        return place < torch.from_numpy(count).to(place.device)[:, None]

    def _extent(self, rows: Rows | None) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(None) if rows is None else np.asarray(rows)
        return self.offsets[:-1][rows], self.counts[rows]


def in_parts(sizes: np.ndarray, rows: int, pairs: int = PAIRS_AT_ONCE) -> list[np.ndarray]:
    """Molecules of sizes [M] in their order, cut into parts of at most so many rows and pairs (one row at least)."""
    begins, widest = [0], 0
    for row, size in enumerate(sizes.tolist()):
        widest, count = max(widest, size), row - begins[-1] + 1
        if count > 1 and (count > rows or count * widest**2 > pairs):
            begins.append(row)
            widest = size
    return np.split(np.arange(len(sizes)), begins[1:]) if len(sizes) else []


def by_size(sizes: np.ndarray, rows: int, pairs: int = PAIRS_AT_ONCE) -> list[np.ndarray]:
    """The same, sorted by size."""
    order = np.argsort(sizes, kind="stable")
    return [order[part] for part in in_parts(sizes[order], rows, pairs)]
