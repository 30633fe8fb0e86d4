"""Sampling a row: fixed chunks of requests, each kept when finished, so that only what is missing is drawn."""

import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from latent3d.base.chunks import FinishedChunks
from latent3d.base.errors import UserError
from latent3d.base.files import hash_configuration, hash_file, part_of
from latent3d.base.layout import RUN
from latent3d.base.progress import Progress
from latent3d.base.run import Run, versions, write_run
from latent3d.base.settings import Settings
from latent3d.data.molecules.content import hash_molecules, of_seed
from latent3d.data.molecules.molecules import Molecules
from latent3d.data.molecules.parquet import read_metadata, read_parquet, write_parquet
from latent3d.data.molecules.read import check_format, write_molecules
from latent3d.data.records import concatenate
from latent3d.diffusion.streams import CHUNK
from latent3d.systems import Context, Generate, load_system

Drawn = tuple[Molecules, float]
"""Samples of a chunk, and the seconds that they took."""


@dataclass(frozen=True)
class Sampling:
    """Everything that samples depend on but the requests.

    Attributes:
        system: name of the system.
        parts: weights file of each stage that generates.
        settings: of `sampling`.
        data: dataset.parquet; controls alone draw from it.
        source: samples.parquet of the row whose samples are used (control rows).
        run: device, and the folder in which finished chunks wait.
    """

    system: str
    parts: dict[str, Path]
    settings: Settings
    data: Path | None
    source: Path | None
    run: Run

    def depends_on(self) -> dict[str, Any]:
        """What names the chunks, and stands in the metadata of samples.parquet."""
        return {
            "system": self.system,
            "weights_sha256": {stage: hash_file(path) for stage, path in self.parts.items()},
            "data_sha256": None if self.data is None else hash_file(self.data),
            "hyperparameters": self.settings.model_dump(),
            "device": self.run.device,
        }


def sample(sampling: Sampling, requests: pd.DataFrame, out: Path, shard: tuple[int, int] | None = None) -> None:
    """Write one sample per request to `out` (samples.parquet), in their order, and run.json beside it.

    Chunks of CHUNK consecutive indices of one seed are made together and kept in a folder of `run.work` named by
    everything they depend on, which the list of seeds is not part of: more seeds are drawn to those that are there.
    With `shard` (i, n) only the i-th of n parts of the chunks are made; the call without a shard finds them finished.
    """
    requests = requests.reset_index(drop=True)
    chunks = _chunks_of(requests, CHUNK[sampling.run.device])
    parts = list(_draw(sampling, chunks, shard))
    if shard is not None:
        return
    samples = concatenate(molecules for molecules, _ in parts)
    if len(samples) != len(requests):
        raise UserError(
            f"{sampling.run.work} holds {len(samples)} samples where {len(requests)} were asked for. Delete it and run "
            "again."
        )
    # Whatever the order of requests, each stands beside its own sample.
    samples = samples.take(np.argsort(np.concatenate([lines.index for lines in chunks]), kind="stable"))
    source = None if sampling.source is None else hash_file(sampling.source)
    write_parquet(out, samples, {**sampling.depends_on(), "source_sha256": source})
    # Of all attempts: chunks that an interrupted run left took their time as well.
    seconds = pd.Series([seconds for _, seconds in parts]).groupby([m.table["seed"].iloc[0] for m, _ in parts]).sum()
    counts = requests.groupby("seed").size()
    write_run(
        out.with_name(RUN),
        float(seconds.sum()),
        device=sampling.run.device_name(),
        samples=len(samples),
        by_seed={
            str(seed): {"seconds": round(seconds[seed], 3), "samples": int(counts[seed])} for seed in counts.index
        },
        versions=versions(["latent3d", "numpy", "rdkit", "torch"]),
    )


def sample_to_file(sampling: Sampling, requests: pd.DataFrame, out: Path) -> None:
    """Write one sample per request as one molecule file, in the format of its suffix; chunks are not kept.

    What a format cannot hold is left out.
    """
    check_format(out)
    with tempfile.TemporaryDirectory() as folder:
        sample(sampling, requests, Path(folder, "samples.parquet"))
        samples = read_parquet(Path(folder, "samples.parquet"))
    write_molecules(out, samples)
    for chunks in _kept(sampling, requests["seed"].unique()).values():
        chunks.forget()
    failed = int((samples.table["status"] != "ok").sum())
    print(f"{out}: {len(samples)} samples, {failed} of them failed", file=sys.stderr)


def _chunks_of(requests: pd.DataFrame, size: int) -> list[pd.DataFrame]:
    """The requests in chunks of one seed and `size` consecutive indices, in the order of these."""
    groups = requests.groupby(["seed", requests["sample_index"] // size], sort=False)
    return [lines.sort_values("sample_index", kind="stable") for _, lines in groups]


def _draw(sampling: Sampling, chunks: list[pd.DataFrame], shard: tuple[int, int] | None) -> Iterator[Drawn]:
    """The samples of the chunks (or of a shard of them), from where they are kept or newly drawn."""
    chosen = range(len(chunks)) if shard is None else part_of(range(len(chunks)), *shard)
    kept = _kept(sampling, {lines["seed"].iloc[0] for lines in chunks})
    generate: Generate | None = None
    progress = Progress(sampling.system, sum(len(chunks[number]) for number in chosen), "samples")
    done = 0
    for number in chosen:
        lines = chunks[number]
        finished, name = kept[lines["seed"].iloc[0]], _name(lines)
        done += len(lines)
        if name in finished:
            progress.found(len(lines))
        else:
            began = time.monotonic()
            generate = generate or _generator(sampling)
            samples = generate(lines.reset_index(drop=True))
            seconds = time.monotonic() - began
            finished.save(name, (samples, seconds))
            progress.estimate(done)
        progress.show(done)
        yield finished.load(name)


def _generator(sampling: Sampling) -> Generate:
    context = Context(*(None if file is None else read_parquet(file) for file in (sampling.data, sampling.source)))
    return load_system(sampling.system).generator(sampling.parts, sampling.settings, context, sampling.run)


def _kept(sampling: Sampling, seeds: Iterable[int]) -> dict[int, FinishedChunks[Drawn]]:
    """Where the chunks of each seed are kept; of a source, its samples of that seed alone matter."""
    source = None if sampling.source is None else read_parquet(sampling.source)
    depends_on = sampling.depends_on()
    used = {seed: None if source is None else hash_molecules(of_seed(source, seed)) for seed in seeds}
    return {
        seed: FinishedChunks(
            sampling.run.work, "sample", {**depends_on, "source": used[seed]}, ".parquet", _write_chunk, _read_chunk
        )
        for seed in seeds
    }


def _name(lines: pd.DataFrame) -> str:
    """`seed-first-end`, and a hash of what is asked beside a number, if anything is."""
    first, last, seed = lines["sample_index"].min(), lines["sample_index"].max(), lines["seed"].iloc[0]
    asked = lines.drop(columns=["seed", "sample_index"])
    return f"{seed}-{first}-{last + 1}" + (
        f"-{hash_configuration(asked.to_dict('list'))}" if len(asked.columns) else ""
    )


def _write_chunk(path: Path, drawn: Drawn) -> None:
    write_parquet(path, drawn[0], {"seconds": drawn[1]})


def _read_chunk(path: Path) -> Drawn:
    return read_parquet(path), read_metadata(path)["seconds"]
