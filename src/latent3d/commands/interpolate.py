"""Latent interpolation: what an autoencoder decodes on the straight path between the codes of held-out molecules."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from latent3d.base.errors import UserError
from latent3d.base.files import hash_file
from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.parquet import read_parquet, write_parquet
from latent3d.systems import load_system

PAIRS = 4
PLACES = np.linspace(0.0, 1.0, 7)
"""Where the path is decoded: 0 is the code of the first molecule of a pair, 1 that of the second."""


def write_interpolation(system: str, weights: dict[str, Path], data: Path, run: Run, out: Path) -> None:
    """Write the frames between pairs of test molecules, at most `PAIRS`, drawn at random under `run.seed`, not chosen.

    Per pair, in order: the first molecule, the decoded frames, the second molecule. Columns: `pair`, `origin`
    (`held_out` or `decoded`), `place` on the path (null where held out), `status` (`ok` or why a frame failed).

    Raises:
        UserError: there are fewer than two test molecules.
    """
    molecules = read_parquet(data).split("test")
    pairs = min(PAIRS, len(molecules) // 2)
    if not pairs:
        raise UserError(f"{data} has {len(molecules)} test molecules; a path between two needs two. Give it more.")
    ends = molecules.take(np.random.default_rng(run.seed).permutation(len(molecules))[: 2 * pairs])
    print(f"{system}: decoding {pairs * len(PLACES)} codes between test molecules, a few seconds", file=sys.stderr)
    frames, status = load_system(system).interpolate(weights, ends, PLACES, run)
    strips: list[Molecule] = []
    lines: list[tuple[int, str, float | None, str]] = []
    for pair in range(pairs):
        of_pair = slice(pair * len(PLACES), (pair + 1) * len(PLACES))
        strips += [ends[2 * pair], *frames[of_pair], ends[2 * pair + 1]]
        decoded = [(pair, "decoded", place, reason) for place, reason in zip(PLACES, status[of_pair], strict=True)]
        lines += [(pair, "held_out", None, "ok"), *decoded, (pair, "held_out", None, "ok")]
    table = pd.DataFrame(lines, columns=["pair", "origin", "place", "status"])
    depends_on = {
        "system": system,
        "weights_sha256": {stage: hash_file(path) for stage, path in weights.items()},
        "data_sha256": hash_file(data),
        "seed": run.seed,
    }
    write_parquet(out, from_list(strips, table), depends_on)
