"""Where a piece of work runs, where it may leave unfinished state, and what it cost."""

import contextlib
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latent3d.base.errors import UserError
from latent3d.base.files import write_json


@dataclass(frozen=True)
class Run:
    """Circumstances of one training or sampling command.

    Attributes:
        seed: training or sampling seed.
        work: folder for unfinished state (checkpoints, finished chunks); survives a crash, named by configuration hash.
        device: `cpu` or `cuda`, already resolved.
        precision: Lightning Fabric's name, e.g. `32-true`.
        time_limit: seconds after which training saves a checkpoint and raises StoppedEarly; None for no limit.
        checkpoint_every: seconds between checkpoints.
    """

    seed: int
    work: Path
    device: str = "cpu"
    precision: str = "32-true"
    time_limit: float | None = None
    checkpoint_every: float = 60.0
    started: float = field(default_factory=time.monotonic)

    def seconds(self) -> float:
        """Wall time since the command began."""
        return time.monotonic() - self.started

    def is_out_of_time(self) -> bool:
        """True once the time limit is reached."""
        return self.time_limit is not None and self.seconds() > self.time_limit

    @property
    def is_main(self) -> bool:
        """True for the one process that writes files (all but one are false under torchrun)."""
        return int(os.environ.get("RANK", "0")) == 0

    def device_name(self) -> str:
        """The processor or GPU by name, for tables of cost."""
        import torch

        if self.device == "cuda":
            return torch.cuda.get_device_name()
        threads = torch.get_num_threads()
        return f"{_processor()}, {threads} thread{'s' if threads > 1 else ''}"


def _processor() -> str:
    """Name of the processor (Linux), else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def resolve_device(name: str) -> str:
    """`cpu` or `cuda` for `auto`, `cpu` or `cuda`.

    Raises:
        UserError: cuda was asked for, but PyTorch sees no GPU.
    """
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"device: {name!r} is not one of auto, cpu, cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device: cuda was asked for, but PyTorch sees no GPU. Set device: auto or cpu.")
    return name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of the packages a number depends on, as far as installed (local labels such as +cpu left out)."""
    found = {"python": platform.python_version()}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package).split("+")[0]
    return found


def commit(checkout: Path = Path(__file__).parents[3]) -> str | None:
    """The commit of the code that runs, `-dirty` if files differ from it; None where that cannot be known.

    Of the checkout that the package lies in; where there is none (a container), what LATENT3D_COMMIT says.
    """
    if "LATENT3D_COMMIT" in os.environ:
        return os.environ["LATENT3D_COMMIT"] or None
    if not (checkout / ".git").exists():
        return None
    # Also of a checkout that belongs to somebody else: its code runs already.
    owned = f"safe.directory={checkout.resolve()}"
    command = ["git", "-c", owned, "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def write_run(path: Path | str, seconds: float, **details: Any) -> None:
    """Write run.json: wall time, peak memory, machine, and `details`. The only file that differs between repeats.

    `peak_memory_mb` is the host's; where a GPU worked, `peak_gpu_memory_mb` says what PyTorch took of its memory.
    `commit` is that of the code, null where it is not known.
    """
    gpu = sys.modules["torch"].cuda if "torch" in sys.modules else None
    if gpu is not None and gpu.is_initialized():
        details["peak_gpu_memory_mb"] = round(gpu.max_memory_allocated() / 2**20, 1)
    # ru_maxrss is in KiB on Linux; children are the worker processes that have ended.
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    write_json(
        path,
        {
            "schema_version": 1,
            "seconds": round(seconds, 3),
            "peak_memory_mb": round(max(own, children) / 1024, 1),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "commit": commit(),
            **details,
        },
    )
