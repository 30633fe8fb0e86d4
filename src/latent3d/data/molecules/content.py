"""What a set of molecules is, whatever file it lies in: its hash names work that is kept."""

import hashlib
import json

import numpy as np

from latent3d.data.molecules.molecules import Molecules

COLUMNS = ("seed", "sample_index", "status")


def of_seed(samples: Molecules, seed: int) -> Molecules:
    """The samples of one sampling seed."""
    return samples.take((samples.table["seed"] == seed).to_numpy())


def hash_molecules(molecules: Molecules) -> str:
    """Hexadecimal SHA-256 of atoms, positions, bonds and charges, and of seed, sample index and status."""
    digest = hashlib.sha256()
    for array in (
        *(molecules.atom_offsets, molecules.atomic_numbers, molecules.positions, molecules.bonds_known),
        *(molecules.bond_offsets, molecules.bonds, molecules.bond_orders, molecules.formal_charges),
    ):
        digest.update(np.ascontiguousarray(array).tobytes())
    given = {name: molecules.table[name].tolist() for name in COLUMNS if name in molecules.table}
    digest.update(json.dumps(given).encode())
    return digest.hexdigest()
