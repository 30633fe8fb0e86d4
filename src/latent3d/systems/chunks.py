"""Samples in chunks of consecutive indices, each with streams of its own: what `sampler` of a cascade gives."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from latent3d.data.molecules.molecules import Molecule, Molecules, from_list
from latent3d.diffusion.streams import CHUNK, Streams
from latent3d.systems import Draw


def draw_in_chunks(sample_chunk: Callable[[Streams], tuple[list[Molecule], list[str]]], device: str) -> Draw:
    """`draw` of a function that makes a molecule and a status for each of the streams of a chunk.

    Always whole chunks, so that shapes and hence bytes never differ; what was not asked for is cut off.
    """
    size = CHUNK[device]

    def draw(indices: range, seed: int) -> Molecules:
        starts = range(indices.start - indices.start % size, indices.stop, size)
        parts = [sample_chunk(Streams.of(seed, range(start, start + size), device)) for start in starts]
        molecules, status = [m for part in parts for m in part[0]], [s for part in parts for s in part[1]]
        wanted = slice(indices.start % size, indices.start % size + len(indices))
        table = {"sample_index": np.array(indices, np.int64), "seed": seed, "status": status[wanted]}
        return from_list(molecules[wanted], pd.DataFrame(table))

    return draw
