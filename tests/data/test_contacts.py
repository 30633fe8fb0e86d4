"""Survival of a bond graph by distances against covalent radii."""

from pathlib import Path

import numpy as np
import pytest

from latent3d.data.molecules.contacts import BROKEN, COVALENT_RADII, FORMED, BondGraph
from latent3d.data.molecules.parquet import read_parquet


def test_radii():
    assert COVALENT_RADII[[1, 6, 7, 8, 9, 17]] == pytest.approx([0.31, 0.76, 0.71, 0.66, 0.57, 1.02])


@pytest.mark.parametrize(
    ("length", "bonded", "failure"),
    [
        (BROKEN - 0.01, True, None),
        (BROKEN + 0.01, True, "bond_broken"),
        (0.1, True, None),
        (FORMED + 0.01, False, None),
        (FORMED - 0.01, False, "bond_formed"),
        (np.nan, True, "exploded"),
        (np.inf, False, "exploded"),
    ],
)
@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_limits(length, bonded, failure, order):
    graph = BondGraph(np.array([6, 8], np.uint8), np.array([order] if bonded else []).reshape(-1, 2).astype(np.int16))
    assert graph.failure(np.array([[0, 0, 0], [0, 0, length * 1.42]])) == failure


def test_an_atom_survives():
    assert BondGraph(np.array([6]), np.zeros((0, 2), int)).failure(np.zeros((1, 3))) is None


def test_the_embedded_molecules_have_their_own_graphs():
    molecules = read_parquet(Path(__file__).parents[2] / "resources" / "mini.parquet")
    for index in range(0, len(molecules), 10):
        molecule = molecules[index]
        assert BondGraph(molecule.atomic_numbers, molecule.bonds).failure(molecule.positions) is None
