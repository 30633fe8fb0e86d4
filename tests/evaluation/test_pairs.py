import numpy as np
import pytest

from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.evaluation.analysis import pairs
from latent3d.evaluation.analysis.pairs import close_pairs


def random_molecules(sizes, offset=0.0):
    random = np.random.default_rng(0)
    return from_list(
        Molecule(np.ones(n, np.uint8), (offset + random.normal(0, 2, (n, 3))).astype(np.float32)) for n in sizes
    )


def brute_force(molecules, reach, max_atoms):
    """All pairs by loops over one distance matrix."""
    x = molecules.positions.astype(float)
    distance = np.linalg.norm(x[:, None] - x, axis=-1)
    owner, counts = molecules.molecule_of_atom, molecules.atom_counts
    return {
        (i, j): distance[i, j]
        for i in range(len(x))
        for j in range(i + 1, len(x))
        if owner[i] == owner[j] and counts[owner[i]] <= max_atoms and distance[i, j] <= min(reach[i], reach[j])
    }


@pytest.mark.parametrize("at_once", [1, 100, 100_000])
@pytest.mark.parametrize("offset", [0.0, 5000.0])
def test_finds_what_loops_find(monkeypatch, at_once, offset):
    monkeypatch.setattr(pairs, "_PAIRS_AT_ONCE", at_once)
    molecules = random_molecules([5, 1, 0, 5, 12, 2, 40, 5, 30, 12], offset)
    reach = np.random.default_rng(1).uniform(0, 4, len(molecules.atomic_numbers))
    expected = brute_force(molecules, reach, 39)
    found = {}
    for first, second, distance in close_pairs(molecules, reach, 39):
        assert (first < second).all()
        new = dict(zip(zip(first.tolist(), second.tolist(), strict=True), distance, strict=True))
        assert not found.keys() & new.keys()
        found |= new
    within = {pair: d for pair, d in found.items() if d <= min(reach[list(pair)])}
    assert within.keys() == expected.keys() and len(expected) > 20
    np.testing.assert_allclose([within[pair] for pair in expected], list(expected.values()), rtol=1e-12)
    # What is beyond reach comes within its stated slack only.
    assert all(d <= min(reach[list(pair)]) * 1.0001 for pair, d in found.items())


def test_undefined_and_coinciding_positions():
    positions = np.zeros((5, 3), np.float32)
    positions[1], positions[2], positions[3] = np.nan, np.inf, np.inf
    molecules = from_list([Molecule(np.ones(5, np.uint8), positions)])
    (first, second, distance), = close_pairs(molecules, np.full(5, 0.5), 10)  # fmt: skip
    assert (first.tolist(), second.tolist(), distance.tolist()) == ([0], [4], [0.0])
    assert not list(close_pairs(from_list([]), np.zeros(0), 10))
