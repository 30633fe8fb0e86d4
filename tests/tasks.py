"""Functions that the spawned workers of the tests run; spawning imports them by name."""

import os
import signal
import time

from latent3d.base.chunks import FinishedChunks
from latent3d.base.errors import Failed
from latent3d.base.files import atomic_path


def square(number):
    """The square; some numbers misbehave."""
    if number == -1:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == -2:
        time.sleep(3600)
    if number == -3:
        raise Failed("scf_failed")
    if number == -4:
        raise KeyError("a bug")
    # The even ones finish late, so that the order of results is put to the test.
    time.sleep(0.05 if number % 2 == 0 else 0)
    return number**2


def die_while_answering(seconds):
    """An answer of 100 MB, which takes a while to send; its process dies so long after it began to (never, if 0)."""
    return [bytes(100_000_000), TimerWhenPickled(seconds)]


class TimerWhenPickled:
    """Being pickled, as answers are before they are sent, it sets the timer that ends the process."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __reduce__(self):
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        return str, ()


def thread_settings(_):
    """What the libraries in a worker read about threads."""
    return [os.environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")]


def process_id(_):
    """Which worker runs this, after a moment that a test can use to kill it."""
    time.sleep(0.3)
    return os.getpid()


def echo_unless_cursed(numbers):
    """The numbers; some of them misbehave as in `square`."""
    for number in numbers:
        if number < 0:
            square(number)
    return numbers


def save_and_die(work):
    """Two chunks: one is saved, the other kills its process when half of it is written."""

    def write(path, text):
        with atomic_path(path) as temporary:
            temporary.write_text(text)
            if text == "half":
                os.kill(os.getpid(), signal.SIGKILL)

    chunks = FinishedChunks(work, "energy", {}, ".txt", write)
    chunks.save("0", "whole")
    chunks.save("1", "half")
