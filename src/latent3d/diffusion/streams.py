"""Random streams: every sample (and every training step) has its own, derived from a seed and an index.

Results therefore do not depend on batches, shards or devices (the numbers are drawn on the CPU).
"""

from collections.abc import Iterable, Sequence

import torch


def stream_seed(seed: int, index: int) -> int:
    """A 63-bit seed that mixes (seed, index); streams of neighbouring indices are unrelated (splitmix64 finaliser)."""
    x = (seed * 0x9E3779B97F4A7C15 + index * 0xD1B54A32D192ED03 + 0x8CB92BA72F3D8DD7) & (2**64 - 1)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = ((x ^ (x >> shift)) * factor) & (2**64 - 1)
    return (x ^ (x >> 31)) >> 1


class Streams:
    """One random stream per sample; each draw takes the next numbers of every stream."""

    def __init__(self, generators: Iterable[torch.Generator], device: str = "cpu") -> None:
        self.generators, self.device = list(generators), device

    @classmethod
    def of(cls, seed: int, indices: range, device: str = "cpu") -> "Streams":
        """The streams of sample indices under a sampling seed."""
        return cls((torch.Generator().manual_seed(stream_seed(seed, index)) for index in indices), device)

    def __len__(self) -> int:
        return len(self.generators)

    def take(self, rows: Sequence[int]) -> "Streams":
        """The streams of some of the samples."""
        return Streams([self.generators[row] for row in rows], self.device)

    def uniform(self) -> torch.Tensor:
        """[B] numbers in [0, 1), float64, on the CPU."""
        return torch.stack([torch.rand((), generator=g, dtype=torch.float64) for g in self.generators])

    def normal(self, width: int) -> torch.Tensor:
        """[B, width] standard normal."""
        return torch.stack([torch.randn(width, generator=g) for g in self.generators]).to(self.device)

    def normal_atoms(self, counts: Sequence[int], width: int) -> torch.Tensor:
        """[B, N, width] standard normal for the first counts[b] atoms of each sample, zero at padding."""
        out = torch.zeros(len(counts), max(counts), width)
        for row, (generator, count) in enumerate(zip(self.generators, counts, strict=True)):
            out[row, :count] = torch.randn(count, width, generator=generator)
        return out.to(self.device)


CHUNK = {"cpu": 100, "cuda": 500}
"""Samples computed together: results may depend on the chunk, never on the number of shards or on interruptions."""
