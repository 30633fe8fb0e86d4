"""Control rows: real molecules, noisy ones, random clouds, ETKDG on the graphs of another row (see README.md)."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from rdkit import rdBase

from latent3d.base.errors import UserError
from latent3d.base.functions import find_function
from latent3d.base.run import Run
from latent3d.data.molecules.embedding import embed
from latent3d.data.molecules.molecules import EMPTY, Molecule, Molecules
from latent3d.systems import Context, Generate, Parts
from latent3d.systems.chunks import answers
from latent3d.systems.controls.settings import Sampling

# First entry of a random stream's key, so that the streams of different purposes never coincide.
_ORDER, _SAMPLE = 0, 1


def generator(parts: Parts, settings: Sampling, context: Context, run: Run) -> Generate:
    """Control molecules by sample index; each depends on (data, settings, seed, index) alone.

    Args:
        parts: none.
        settings: `kind`, `split`, `noise`, `function` (see README.md).
        context: the dataset; for kind etkdg also the samples that the graphs come from.
        run: unused.

    Raises:
        UserError: an empty split, a source that is missing or too short, or a function that cannot be found.
    """
    if context.data is None:
        raise UserError("Controls are drawn from a dataset: give --data.")
    if settings.kind == "own":
        of_task = find_function(settings.function, "controls: sampling.function")
        return lambda requests: answers(requests, *of_task(requests, context))

    def generate(requests: pd.DataFrame) -> Molecules:
        molecules, status = [EMPTY] * len(requests), [""] * len(requests)
        seeds, indices = requests["seed"].to_numpy(), requests["sample_index"].to_numpy()
        for seed in dict.fromkeys(seeds.tolist()):
            rows = (seeds == seed).nonzero()[0]
            for row, molecule, reason in zip(rows, *_controls(context, settings, indices[rows], seed), strict=True):
                molecules[row], status[row] = molecule, reason
        return answers(requests, molecules, status)

    return generate


def _controls(
    context: Context, settings: Sampling, indices: np.ndarray, seed: int
) -> tuple[Iterable[Molecule], list[str]]:
    """Molecules of a kind, and their status."""
    data, kind, ok = context.data, settings.kind, ["ok"] * len(indices)
    if kind == "etkdg":
        return _embedded(_source_graphs(context.source, seed), indices, seed)
    if kind == "data":
        return drawn(data, settings.split, indices, seed), ok
    if kind == "noise":
        return _noisy(drawn(data, "train", indices, seed), settings.noise, indices, seed), ok
    return _clouds(drawn(data, "train", indices, seed), indices, seed), ok


def drawn(data: Molecules, split: str, indices: np.ndarray, seed: int) -> Molecules:
    """Molecules of a split by sample index: without replacement, and through the split again where it is too small."""
    rows = np.flatnonzero((data.table["split"] == split).to_numpy())
    if not len(rows):
        raise UserError(f"controls: the dataset has no molecules in the split {split!r}. Choose train, valid or test.")
    cycles, places = np.divmod(indices, len(rows))
    chosen = np.zeros(len(indices), np.int64)
    for cycle in np.unique(cycles):
        order = _stream(_ORDER, seed, cycle).permutation(len(rows))
        chosen[cycles == cycle] = rows[order[places[cycles == cycle]]]
    return data.take(chosen)


def _noisy(molecules: Molecules, noise: float, indices: np.ndarray, seed: int) -> list[Molecule]:
    """The molecules without their bonds, coordinates moved by Gaussian noise of `noise` angstrom."""
    return [
        Molecule(m.atomic_numbers, m.positions + noise * _normal(seed, index, len(m)))
        for m, index in zip(molecules, indices, strict=True)
    ]


def _clouds(molecules: Molecules, indices: np.ndarray, seed: int) -> list[Molecule]:
    """The molecules' elements at independent normal positions, as wide as the molecules."""
    clouds = []
    for m, index in zip(molecules, indices, strict=True):
        width = np.sqrt(((m.positions - m.positions.mean(axis=0)) ** 2).mean())
        clouds.append(Molecule(m.atomic_numbers, width * _normal(seed, index, len(m))))
    return clouds


def _source_graphs(source: Molecules | None, seed: int) -> Molecules:
    if source is None:
        raise UserError("controls: kind etkdg needs the row whose graphs it embeds. Set samples_of in its row.")
    return source.take((source.table["seed"] == seed).to_numpy())


def _embedded(graphs: Molecules, indices: np.ndarray, seed: int) -> tuple[list[Molecule], list[str]]:
    """ETKDG geometries of the source's samples with the given indices, and their status."""
    row_of = {index: row for row, index in enumerate(graphs.table["sample_index"])}
    missing = [index for index in indices if index not in row_of]
    if missing:
        raise UserError(
            f"controls: the source row has no sample {missing[0]} for seed {seed}. Sample it with the same count first."
        )
    molecules, status = [], []
    with rdBase.BlockLogs():
        for index in indices:
            molecule, reason = graphs[row_of[index]], graphs.table["status"].iloc[row_of[index]]
            if reason == "ok":
                molecule, reason = embed(molecule, _etkdg_seed(seed, index))
            molecules.append(molecule)
            status.append(reason)
    return molecules, status


def _stream(*key: int) -> np.random.Generator:
    return np.random.default_rng([int(part) for part in key])


def _normal(seed: int, index: int, atoms: int) -> np.ndarray:
    return _stream(_SAMPLE, seed, index).standard_normal((atoms, 3)).astype(np.float32)


def _etkdg_seed(seed: int, index: int) -> int:
    """A non-negative 31-bit seed, as RDKit takes it."""
    return int(_stream(_SAMPLE, seed, index).integers(2**31 - 1))
