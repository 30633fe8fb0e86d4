"""How far work is, on stderr."""

import sys
import time

EVERY = 10.0
"""Seconds between two lines."""


class Progress:
    """Lines such as `bonds: 2000/40000 molecules (5 %), 130 molecules/s, 4.9 min left`, at most one in ten seconds.

    Args:
        label: begins every line; nothing is printed if it is empty.
        total: amount of work.
        unit: of the amounts, in the plural; none if empty.
        start: what an earlier attempt is known to have done: part of the amounts, not of the rate.
    """

    def __init__(self, label: str, total: float, unit: str = "", start: float = 0) -> None:
        self._label, self._total, self._start = label, total, start
        self._unit = f" {unit}" if unit else ""
        self._began = self._shown = time.monotonic()
        self._estimated = False

    def rate(self, done: float) -> float:
        """Work per second of this attempt."""
        return (done - self._start) / max(time.monotonic() - self._began, 1e-9)

    def found(self, amount: float) -> None:
        """So much of the work turns out to be an earlier attempt's, too."""
        self._start += amount

    def estimate(self, done: float) -> None:
        """Say once, when the first part is done, what there is to do: `edm: 1000 samples, about 40 s`."""
        if self._label and not self._estimated:
            self._estimated = True
            whole = duration((self._total - self._start) / max(self.rate(done), 1e-9))
            print(f"{self._label}: {_number(self._total)}{self._unit}, about {whole}", file=sys.stderr, flush=True)

    def show(self, done: float, note: str = "", force: bool = False) -> None:
        """Print a line, with a note in its middle, if it is time or forced."""
        now = time.monotonic()
        if not self._label or (now - self._shown < EVERY and not force):
            return
        self._shown = now
        share = f"{_number(done)}/{_number(self._total)}{self._unit} ({100 * done / max(self._total, 1):.0f} %)"
        said = [share, note]
        if (rate := self.rate(done)) > 0:
            said += [f"{rate:.{int(rate < 100)}f}{self._unit}/s", f"{duration((self._total - done) / rate)} left"]
        print(f"{self._label}: {', '.join(filter(None, said))}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Print the last line."""
        self.show(self._total, force=True)


def duration(seconds: float) -> str:
    """For people: `40 s`, `4.9 min`, `31 min`, `2.5 h`, `30 h`."""
    size, unit = (1, "s") if seconds < 100 else (60, "min") if seconds < 6000 else (3600, "h")
    return f"{seconds / size:.{int(unit != 's' and seconds < 10 * size)}f} {unit}"


def _number(amount: float) -> str:
    return f"{amount:.1f}" if isinstance(amount, float) else str(amount)
