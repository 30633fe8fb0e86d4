"""Relaxation of a file of samples with MMFF94."""

import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd

from latent3d.base.errors import UserError
from latent3d.base.run import versions, write_run
from latent3d.calculations.mmff.relaxation import relax
from latent3d.data.molecules.parquet import read_parquet, write_parquet
from latent3d.data.records import concatenate


def relax_file(raw: Path) -> Path:
    """Relax `x/raw/samples.parquet` into `x/mmff/samples.parquet`, with run.json beside it; return the new file.

    Raises:
        UserError: the file is not in a folder `raw`, or is not a samples file.
    """
    if raw.parent.name != "raw":
        raise UserError(f"{raw} is not in a folder named raw; relax reads .../raw/samples.parquet.")
    samples = read_parquet(raw)
    if "status" not in samples.table:
        raise UserError(f"{raw} has no column 'status', so it is not a samples file. Make it with latent3d sample.")
    began = time.monotonic()
    print(f"relax: {len(samples)} molecules, about {len(samples) * 0.006:.0f} s", file=sys.stderr)
    seeds = samples.table["seed"] if "seed" in samples.table else pd.Series(0, range(len(samples)))
    parts, by_seed = [], {}
    for seed in seeds.unique():
        started = time.monotonic()
        parts.append(relax(samples.take((seeds == seed).to_numpy())))
        by_seed[str(seed)] = {"seconds": round(time.monotonic() - started, 3), "samples": len(parts[-1])}
    relaxed = concatenate(parts) if parts else samples
    out = raw.parent.parent / "mmff" / raw.name
    write_parquet(out, relaxed)
    seconds = time.monotonic() - began
    counts = Counter(relaxed.table["status"].tolist())
    write_run(
        out.with_name("run.json"),
        seconds,
        device="cpu",
        samples=len(samples),
        by_seed=by_seed,
        statuses=dict(counts),
        versions=versions(["rdkit"]),
    )
    print(f"relax: {out}: {counts['ok']} of {len(samples)} converged in {seconds:.1f} s", file=sys.stderr)
    return out
