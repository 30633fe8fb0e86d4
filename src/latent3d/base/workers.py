"""Many molecules on many processes: a worker that dies or hangs costs its own molecule and nothing else.

Workers are spawned, not forked, with one BLAS/OpenMP thread each: two processes of two threads are tens of times
slower than two of one on small molecules. The standard library's pools wait for ever for a killed worker's task, or
give up all others. The workers of pebble (5.2.3) share one pipe: with one killed every second amid tasks of 30 kB or
more, none of 5 runs ended (an error, or silence, after one to three kills); here each has its own, and 6 of 6 did.
"""

import contextlib
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any

from latent3d.base.errors import Failed
from latent3d.base.progress import Progress

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_START_UP_LIMIT = 120.0


@dataclass(frozen=True)
class Outcome:
    """What became of one task: `ok` with the function's value, or the reason of the failure without a value."""

    status: str
    value: Any = None


@dataclass
class _Worker:
    process: multiprocessing.process.BaseProcess
    pipe: Connection
    task: int | None = None
    deadline: float = float("inf")
    ready: bool = False


class Workers:
    """A context manager around worker processes that all run one function.

    Args:
        function: a module-level function of one picklable task; raises Failed to name a reason.
        processes: number of workers; at least 1.
        time_limit: seconds per task, after which its worker is killed and its status is `timeout`.
    """

    def __init__(self, function: Callable[[Any], Any], processes: int, time_limit: float) -> None:
        self._function = function
        self._size = max(1, processes)
        self._time_limit = time_limit
        self._workers: list[_Worker] = []

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            _kill(worker)
        self._workers.clear()

    def map(
        self,
        tasks: Sequence[Any],
        label: str = "",
        finished: Callable[[int, Outcome], None] | None = None,
        time_limit: float | None = None,
    ) -> list[Outcome]:
        """Outcomes of all tasks, in the tasks' order whatever order they finish in.

        Args:
            tasks: picklable arguments of the function.
            label: name of the progress line on stderr; none if empty.
            finished: called in this process with (task index, outcome) as each task ends, to save it.
            time_limit: seconds per task of this call; those of all workers if None.

        Raises:
            RuntimeError: the function raised anything but Failed (a bug), or a worker cannot start.
        """
        outcomes: list[Outcome | None] = [None] * len(tasks)
        limit = self._time_limit if time_limit is None else time_limit
        waiting = iter(range(len(tasks)))
        progress = Progress(label, len(tasks))
        done = 0
        while done < len(tasks):
            self._fill(min(self._size, len(tasks) - done))
            for worker in self._workers:
                if worker.ready and worker.task is None:
                    self._start(worker, waiting, tasks, limit)
            for index, outcome in self._collect():
                outcomes[index] = outcome
                done += 1
                if finished is not None:
                    finished(index, outcome)
                progress.show(done)
        progress.end()
        return [outcome for outcome in outcomes if outcome is not None]

    def _fill(self, size: int) -> None:
        """Workers for the next tasks; those that died while they were idle are replaced."""
        for worker in list(self._workers):
            if worker.ready and worker.task is None and not worker.process.is_alive():
                self._drop(worker)
        while len(self._workers) < size:
            self._workers.append(_spawn(self._function))

    def _start(self, worker: _Worker, waiting: Iterator[int], tasks: Sequence[Any], limit: float) -> None:
        index = next(waiting, None)
        if index is None:
            return
        worker.task, worker.deadline = index, time.monotonic() + limit
        # A worker that dies just now is noticed, and its task counted, when its pipe is read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            worker.pipe.send(tasks[index])

    def _collect(self) -> Iterator[tuple[int, Outcome]]:
        """Wait for an answer, a death or a deadline; yield what has ended and drop the workers that are gone."""
        patience = min(worker.deadline for worker in self._workers) - time.monotonic()
        answered = wait([worker.pipe for worker in self._workers], timeout=max(0.0, min(patience, 1.0)))
        for worker in list(self._workers):
            index = worker.task
            if worker.pipe in answered:
                outcome = self._answer(worker)
            elif time.monotonic() > worker.deadline:
                self._drop(worker)
                if not worker.ready:
                    raise RuntimeError(f"A worker process did not start within {_START_UP_LIMIT:.0f} s.")
                outcome = Outcome("timeout")
            else:
                continue
            if outcome is not None and index is not None:
                yield index, outcome

    def _answer(self, worker: _Worker) -> Outcome | None:
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, OSError) as error:  # before its answer, or in its middle
            self._drop(worker)
            if not worker.ready:
                raise RuntimeError("A worker process could not start.") from error
            return Outcome("crashed")
        if kind == "bug":
            raise RuntimeError(f"A worker process failed:\n{content}")
        worker.task, worker.deadline = None, float("inf")
        if kind == "ready":
            worker.ready = True
            return None
        return Outcome(*content)

    def _drop(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        _kill(worker)


def run_task(task: tuple[Callable[[Any], Any], Any]) -> Any:
    """What workers of several kinds of work run: a task is a function, importable by name, and its argument."""
    function, argument = task
    return function(argument)


def _spawn(function: Callable[[Any], Any]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, function), daemon=True)
    with _one_thread():
        process.start()
    theirs.close()
    return _Worker(process, ours, deadline=time.monotonic() + _START_UP_LIMIT)


def _kill(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let a starting process inherit one thread: the libraries read these variables once, when imported."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(pipe: Connection, function: Callable[[Any], Any]) -> None:
    """A worker's life: answer tasks until the other end of the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe.send(("ready", None))
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            answer = ("done", ("ok", function(task)))
        except Failed as failed:
            answer = ("done", (failed.reason, None))
        except Exception:
            answer = ("bug", traceback.format_exc())
        try:
            pipe.send(answer)
        except BrokenPipeError:
            return
