"""Ending a training loop early without losing work: at its time limit, or when a cluster asks for it by a signal."""

import signal
from types import FrameType, TracebackType

import torch
from lightning_fabric import Fabric

AGREE_EVERY = 10
"""Steps between the moments at which several processes ask each other whether to stop: asking costs a message."""


class StopSignals:
    """Context manager in which SIGTERM and SIGUSR1 ask for a stop instead of ending the process."""

    SIGNALS = (signal.SIGTERM, signal.SIGUSR1)

    def __init__(self) -> None:
        self.received = False

    def __enter__(self) -> "StopSignals":
        self._before = {number: signal.signal(number, self._receive) for number in self.SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = True


def all_stop(fabric: Fabric, done: int, mine: bool) -> bool:
    """Whether to stop after `done` steps: all processes if any of them is to, since the others would wait for it."""
    if fabric.world_size == 1:
        return mine
    if done % AGREE_EVERY:
        return False
    return bool(fabric.all_reduce(torch.tensor(float(mine), device=fabric.device), reduce_op="sum") > 0)
