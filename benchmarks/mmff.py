"""Processor time per molecule of MMFF94s strain and of 1 ps of dynamics, beside RDKit's minimiser in the same run.

python benchmarks/mmff.py
"""

import json
import time
from collections.abc import Callable

import numpy as np
from rdkit.Chem import AllChem

from latent3d.calculations.dynamics.survival import survival
from latent3d.calculations.graph import force_field_graph
from latent3d.calculations.mmff.strain import strain
from latent3d.data.molecules.molecules import Molecule
from latent3d.data.molecules.parquet import read_parquet


def rdkit_minimise(molecule: Molecule) -> None:
    """What `strain` does, in RDKit."""
    AllChem.MMFFOptimizeMolecule(force_field_graph(molecule), mmffVariant="MMFF94s", maxIters=5000)


def dynamics(molecule: Molecule) -> None:
    """1 ps at 300 K."""
    survival(molecule, picoseconds=1.0)


def milliseconds(function: Callable[[Molecule], object], molecules: list[Molecule]) -> float:
    """Best of three mean times; of all threads, so that idle waiting on a busy machine does not count."""
    times = []
    for _ in range(3):
        start = time.process_time()
        for molecule in molecules:
            function(molecule)
        times.append(1000 * (time.process_time() - start) / len(molecules))
    return min(times)


if __name__ == "__main__":
    data = read_parquet("resources/mini.parquet")
    noise = np.random.default_rng(0).normal(0, 0.05, data.positions.shape)
    molecules = list(data.with_positions(data.positions + noise).take(range(0, len(data), 100)))
    rdkit = milliseconds(rdkit_minimise, molecules)
    result = {"rdkit_minimise_ms": rdkit}
    for name, function in (("strain", strain), ("dynamics_1_ps", dynamics)):
        own = milliseconds(function, molecules)
        result |= {f"{name}_ms": own, f"{name}_ratio": own / rdkit}
    print(json.dumps({name: round(value, 2) for name, value in result.items()}))
