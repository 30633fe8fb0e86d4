"""Latent interpolation: what an autoencoder decodes on the straight path between the codes of held-out molecules."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from latent3d.base.errors import UserError
from latent3d.base.files import hash_file
from latent3d.base.run import Run
from latent3d.data.molecules.molecules import EMPTY, Molecule, Molecules, from_list
from latent3d.data.molecules.parquet import read_parquet, write_parquet
from latent3d.systems import Codec, load_system

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
    frames, status = interpolate(load_system(system).codec(weights, run), ends, PLACES, run.seed)
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


def interpolate(codec: Codec, molecules: Molecules, places: np.ndarray, seed: int) -> tuple[list[Molecule], list[str]]:
    """Frames between molecules 0 and 1, 2 and 3, ... at places 0 to 1: [pairs * places] molecules and their status.

    All latents move on one straight line: z(t) = (1 - t) z_A + t z_B. The line and not a great circle, since latents
    are means of posteriors under a weak KL term and lie on no sphere: slots that a molecule does not have are zero, and
    the size of the others tells molecules apart.
    """
    encoded = codec.encode(molecules)
    found = {int(row): place for place, row in enumerate(encoded.index)}
    pairs = [pair for pair in range(len(molecules) // 2) if {2 * pair, 2 * pair + 1} <= set(found)]
    frames = [EMPTY] * (len(molecules) // 2 * len(places))
    status = ["not_encoded"] * len(frames)
    if not pairs:
        return frames, status
    start, end = ([found[2 * pair + which] for pair in pairs] for which in (0, 1))
    t = torch.tensor(places, dtype=torch.float32)[None, :, None]

    def line(z: torch.Tensor) -> torch.Tensor:  # [molecules, latent] -> [pairs * places, latent]
        return torch.lerp(z[start][:, None], z[end][:, None], t.to(z.device)).flatten(0, 1)

    latents = {name: line(z) for name, z in encoded.latents.items()}
    decoded = codec.decode(latents, torch.Generator().manual_seed(seed))
    for number, (molecule, reason) in enumerate(zip(decoded, decoded.table["status"], strict=True)):
        pair, place = divmod(number, len(places))
        frame = pairs[pair] * len(places) + place
        frames[frame], status[frame] = molecule, reason
    return frames, status
