"""Which molecules a training step sees: a function of (seed, step), so that resuming needs no state."""

import numpy as np
import torch

PAIRS_AT_ONCE = {"cpu": 2**18, "cuda": 2**20}
"""Pairs of atoms, or of slots, that autoencoders and diffusions of latents are trained on at once: up to 1.5 GB and
6 GB with the largest networks. QM9 has smaller batches in all presets but `default` on a processor."""


def pairs_at_once(sizes: np.ndarray, batch_size: int, device: str) -> int | None:
    """The bound on the parts of batches (see `loop.train`) for molecules of these sizes; None where none is needed.

    What a loss compares within a batch (self-supervision) it then compares within a part.
    """
    bound = PAIRS_AT_ONCE[device]
    return None if min(batch_size, len(sizes)) * int(sizes.max()) ** 2 <= bound else bound


class Batches:
    """Shuffled epochs, cut into batches of molecules of similar size so that little is spent on padding.

    Each epoch is a permutation drawn from (seed, epoch). It is cut into pools of eight batches, every pool is sorted
    by size and cut into batches, and the batches are shuffled. Molecules left over at the end of an epoch (fewer than
    a batch) are not seen in it.
    """

    def __init__(self, sizes: np.ndarray, batch_size: int, seed: int) -> None:
        if len(sizes) == 0:
            raise ValueError("there is no molecule to train on")
        self.sizes, self.seed = np.asarray(sizes), seed
        self.batch_size = min(batch_size, len(sizes))
        self.per_epoch = len(sizes) // self.batch_size
        self.epoch = -1
        self.batches: np.ndarray = np.zeros((0, self.batch_size), int)

    def __call__(self, step: int) -> torch.Tensor:
        """Indices [batch_size] of the molecules of a step."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self.epoch:
            self.epoch, self.batches = epoch, self._shuffle(np.random.default_rng((self.seed, epoch)))
        return torch.from_numpy(self.batches[place])

    def _shuffle(self, rng: np.random.Generator) -> np.ndarray:
        order = rng.permutation(len(self.sizes))[: self.per_epoch * self.batch_size]
        pool = 8 * self.batch_size
        for begin in range(0, len(order), pool):
            part = order[begin : begin + pool]
            order[begin : begin + pool] = part[np.argsort(self.sizes[part], kind="stable")]
        return rng.permutation(order.reshape(self.per_epoch, self.batch_size))
