"""Time of `snakemake -n all` at paper scale, beside the time of `snakemake --version` in the same run.

python benchmarks/dag.py
"""

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def seconds(*arguments: str) -> float:
    """Best of three wall times of a snakemake command."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "snakemake", *arguments], cwd=ROOT, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    start_up, dry_run = seconds("--version"), seconds("-n", "--quiet", "rules", "--", "all")
    ratio = round(dry_run / start_up, 2)
    print(json.dumps({"start_up_s": round(start_up, 2), "dry_run_s": round(dry_run, 2), "ratio": ratio}))
