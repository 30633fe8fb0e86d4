"""What is said of files whose molecules would all fail although each can be read."""

import numpy as np
import pytest

from latent3d.data.molecules.molecules import from_list
from latent3d.data.molecules.read import doubts


@pytest.fixture
def molecules(from_smiles):
    return from_list([from_smiles(text) for text in ("CCO", "c1ccccc1")])


def without_hydrogens(molecules):
    heavy = [m.atomic_numbers > 1 for m in molecules]
    parts = [type(m)(m.atomic_numbers[keep], m.positions[keep]) for m, keep in zip(molecules, heavy, strict=True)]
    return from_list(parts)


def test_nothing_is_said_of_molecules_as_they_should_be(molecules, from_smiles):
    assert doubts("a.sdf", molecules) == []
    # Flat by nature: one benzene among others, or small molecules alone.
    assert doubts("a.sdf", molecules.take([])) == []


def test_missing_hydrogens_are_said_once(molecules):
    (said,) = doubts("a.sdf", without_hydrogens(molecules))
    assert said.startswith("a.sdf has no hydrogens.") and "AddHs" in said


def test_a_flat_file_is_said_to_be_flat_unless_it_has_no_coordinates_at_all(molecules):
    drawn = molecules.with_positions(molecules.positions * np.float32([1, 1, 0]))
    (said,) = doubts("a.sdf", drawn)
    assert said.startswith("a.sdf is flat")
    assert doubts("a.smi", drawn) == []
