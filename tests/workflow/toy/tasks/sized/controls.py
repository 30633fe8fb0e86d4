"""Training molecules of the size that was asked for."""

import numpy as np

from latent3d.data.molecules.molecules import EMPTY


def of_size(requests, context):
    """A molecule and a status per request: drawn with its own stream, every fourth refused."""
    train = context.data.split("train")
    heavy = np.array([(molecule.atomic_numbers > 1).sum() for molecule in train])
    molecules, status = [], []
    for seed, index, asked in requests[["seed", "sample_index", "heavy_atoms"]].itertuples(index=False):
        rows = np.flatnonzero(heavy == asked)
        refused = index % 4 == 3 or not len(rows)
        molecules.append(EMPTY if refused else train[int(np.random.default_rng([seed, index]).choice(rows))])
        status.append("decode_failed" if refused else "ok")
    return molecules, status
