"""Sampling a row: fixed chunks of sample indices, each kept when finished, so that an interrupted run continues."""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from latent3d.base.errors import UserError
from latent3d.base.files import hash_configuration, hash_file, part_of
from latent3d.base.run import Run, versions, write_run
from latent3d.data.molecules.molecules import Molecules
from latent3d.data.molecules.parquet import read_metadata, read_parquet, write_parquet
from latent3d.data.molecules.read import check_format, write_molecules
from latent3d.data.records import concatenate
from latent3d.diffusion.streams import CHUNK
from latent3d.systems import Context, load_system


def sample_seed(
    system: str,
    weights: dict[str, Path],
    data_file: Path | None,
    data: Molecules | None,
    hyperparameters: dict[str, Any],
    run: Run,
    count: int,
    source: Path | None,
    out: Path,
    shard: tuple[int, int] | None = None,
) -> None:
    """Write `count` samples of one sampling seed (`run.seed`) to out/samples.parquet, and out/run.json.

    Finished chunks wait in a folder of `run.work` named by everything that the samples depend on, and are removed at
    the end. What they depend on is in the metadata of samples.parquet, too. With `shard` (i, n) only the chunks of the
    i-th of n parts are made; they wait there for the call without a shard, which finds them finished.
    """
    module = load_system(system)
    depends_on = {
        "system": system,
        "weights_sha256": {stage: hash_file(path) for stage, path in weights.items()},
        "data_sha256": None if data_file is None else hash_file(data_file),
        "hyperparameters": hyperparameters,
        "device": run.device,
        "source_sha256": None if source is None else hash_file(_source_file(source, run.seed)),
    }
    folder = run.work / f"sample-{hash_configuration(depends_on)}-{run.seed}"
    samples_of = None if source is None else read_parquet(_source_file(source, run.seed))
    generate = None
    parts, shown = [], time.monotonic()
    starts = range(0, count, CHUNK[run.device])
    for start in starts if shard is None else part_of(starts, *shard):
        indices = range(start, min(start + CHUNK[run.device], count))
        path = folder / f"{start}-{indices.stop}.parquet"
        if not path.is_file():
            began = time.monotonic()
            generate = generate or module.generator(weights, hyperparameters, Context(data, samples_of), run)
            samples = generate(pd.DataFrame({"seed": run.seed, "sample_index": np.array(indices)}))
            seconds = time.monotonic() - began
            write_parquet(path, samples, {"seconds": seconds})
            if len(parts) == 0:
                estimate = seconds * count / len(indices) / (1 if shard is None else shard[1])
                print(f"{system}: {count} samples of seed {run.seed}, about {estimate:.0f} s", file=sys.stderr)
        parts.append(path)
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            print(f"{system}: {indices.stop}/{count} samples of seed {run.seed}", file=sys.stderr)
    if shard is not None:
        return
    samples = concatenate(read_parquet(path) for path in parts)
    if len(samples) != count:
        raise UserError(f"{folder} holds {len(samples)} samples where {count} were asked for. Delete it and run again.")
    write_parquet(out / "samples.parquet", samples, {**depends_on, "seed": run.seed})
    # Of all attempts: chunks that an interrupted run left took their time as well.
    seconds = sum(read_metadata(path)["seconds"] for path in parts)
    write_run(
        out / "run.json",
        seconds,
        device=run.device_name(),
        samples=count,
        versions=versions(["latent3d", "numpy", "rdkit", "torch"]),
    )
    # Also chunks of another count, and what a killed run was writing.
    shutil.rmtree(folder, ignore_errors=True)


def _source_file(source: Path, seed: int) -> Path:
    return source / f"sample{seed}" / "raw" / "samples.parquet"


def to_file(out: Path, sample: Callable[[Path], None]) -> None:
    """Write what `sample` writes into a folder as one molecule file, in the format of its suffix.

    What a format cannot hold is left out.
    """
    check_format(out)
    with tempfile.TemporaryDirectory() as folder:
        sample(Path(folder))
        samples = read_parquet(Path(folder, "samples.parquet"))
    write_molecules(out, samples)
    failed = int((samples.table["status"] != "ok").sum())
    print(f"{out}: {len(samples)} samples, {failed} of them failed", file=sys.stderr)
