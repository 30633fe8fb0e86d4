"""Requests in chunks of consecutive sample indices, each with streams of its own: what `generator` gives."""

from collections.abc import Callable, Iterable

import pandas as pd

from latent3d.data.molecules.molecules import EMPTY, Molecule, Molecules, from_list
from latent3d.diffusion.streams import CHUNK, Streams
from latent3d.systems import Generate

GenerateChunk = Callable[[Streams], tuple[list[Molecule], list[str]]]
"""A molecule and a status for each of the streams of a chunk."""


def in_chunks(generate_chunk: GenerateChunk, device: str) -> Generate:
    """`Generate` of a function that makes a chunk.

    Always whole chunks, so that shapes and hence bytes never differ; what was not asked for is left out.
    """
    size = CHUNK[device]

    def generate(requests: pd.DataFrame) -> Molecules:
        molecules, status = [EMPTY] * len(requests), [""] * len(requests)
        seeds, indices = requests["seed"].to_numpy(), requests["sample_index"].to_numpy()
        starts = indices - indices % size
        for seed, start in dict.fromkeys(zip(seeds.tolist(), starts.tolist(), strict=True)):
            made, reasons = generate_chunk(Streams.of(seed, range(start, start + size), device))
            for row in ((seeds == seed) & (starts == start)).nonzero()[0]:
                place = indices[row] - start
                molecules[row], status[row] = made[place], reasons[place]
        return answers(requests, molecules, status)

    return generate


def answers(requests: pd.DataFrame, molecules: Iterable[Molecule], status: list[str]) -> Molecules:
    """The records of requests, from a molecule and a status for each."""
    columns = {name: requests[name].to_numpy() for name in ("sample_index", "seed")}
    return from_list(molecules, pd.DataFrame({**columns, "status": status}))
