"""Time and memory of `latent3d score`: 10,000 molecules with and without PoseBusters, and any number without.

python benchmarks/score.py [count]

The molecules are QM9 test molecules where LATENT3D_MIRROR is set, else embedded ones, moved by 0.02 angstrom so that
no two are equal. Reference statistics are made (and cached) first and are not part of the times. Times are of a whole
command, start-up included; memory is the peak of the command and all its processes together.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from latent3d.data.datasets.qm9 import MIRROR_VARIABLE
from latent3d.data.molecules.molecules import Molecules
from latent3d.data.molecules.parquet import read_parquet, write_parquet

ROOT = Path(__file__).parents[1]
NAME = "qm9" if os.environ.get(MIRROR_VARIABLE) else "mini"


def samples(count: int) -> Molecules:
    """`count` molecules without bonds, as a generator of point clouds leaves them."""
    source = read_parquet(Path(os.environ[MIRROR_VARIABLE], "qm9", "qm9_geometries.parquet") if NAME == "qm9" else
                          ROOT / "resources" / "mini.parquet")  # fmt: skip
    test = source.split("test")
    many = test.take(np.resize(np.random.default_rng(0).permutation(len(test)), count)).without_table()
    noise = np.random.default_rng(1).normal(0, 0.02, many.positions.shape)
    return many.with_positions(many.positions + noise)


def measured(*arguments: str) -> dict[str, float]:
    """Wall time in seconds and peak memory in GB of one command."""
    peak, start = 0, time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "latent3d.cli", *arguments], stderr=subprocess.DEVNULL)
    watched = psutil.Process(process.pid)
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.2):
            try:
                everyone = [watched, *watched.children(recursive=True)]
                peak = max(peak, sum(one.memory_info().rss for one in everyone))
            except psutil.NoSuchProcess:
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    done.set()
    watcher.join()
    if code:
        sys.exit(f"latent3d {' '.join(arguments)} failed")
    return {"seconds": round(time.perf_counter() - start, 1), "peak_gb": round(peak / 1e9, 2)}


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "samples.parquet")
        write_parquet(file, samples(count))
        base = "score", str(file), "--reference", NAME, "--out", folder, "--quiet"
        fast = *base, "--posebusters", "0", "--no-fcd"
        measured(*fast)  # makes the reference statistics
        result = {"reference": NAME, "count": count, "cores": len(os.sched_getaffinity(0))}
        result["no_posebusters_no_fcd"] = measured(*fast)
        if count <= 10_000:
            result["fcd"] = measured(*base, "--posebusters", "0")
            result["posebusters_quick"] = measured(*base, "--energy-ratio", "0", "--no-fcd")
        print(json.dumps(result))
