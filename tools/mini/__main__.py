"""`python -m mini`: the embedded dataset from nothing, to compare with or replace resources/mini.parquet."""

import argparse
import os
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before numpy is imported: parallelism is by process

from mini.generate import make_mini

if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m mini", description=__doc__.partition(": ")[2])
    parser.add_argument("--out", type=Path, required=True, help="Parquet file to write")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), help="one thread each")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder for finished molecules")
    arguments = parser.parse_args()
    make_mini(arguments.out, arguments.processes, arguments.checkpoints)
