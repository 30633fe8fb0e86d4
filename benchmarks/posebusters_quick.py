"""Time of the quick PoseBusters tests beside the library's own report of the same tests, in the same run.

python benchmarks/posebusters_quick.py
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from posebusters import PoseBusters

from latent3d.data.molecules.molecules import Molecule
from latent3d.data.molecules.parquet import read_parquet
from latent3d.data.molecules.rdkit import to_rdkit
from latent3d.evaluation.validity.posebusters_tests import energy_test, quick_tests

ROOT = Path(__file__).parents[1]
N = 50
ATOMS = 18  # the mean of QM9


def milliseconds(function: Callable[[Molecule], object], molecules: list[Molecule]) -> float:
    """Best of three processor times per molecule, on one core."""
    times = []
    for _ in range(3):
        start = time.process_time()
        for molecule in molecules:
            function(molecule)
        times.append(time.process_time() - start)
    return 1000 * min(times) / len(molecules)


if __name__ == "__main__":
    mini = read_parquet(ROOT / "resources/mini.parquet")
    molecules = list(mini.take(np.flatnonzero(mini.atom_counts == ATOMS)[:N]))
    official = PoseBusters(config="mol_fast")
    quick_tests(molecules[0])
    quick_ms = milliseconds(quick_tests, molecules)
    official_ms = milliseconds(lambda molecule: official.bust(to_rdkit(molecule)), molecules)
    start = time.process_time()
    for molecule in molecules:
        energy_test(molecule)
    energy_ms = 1000 * (time.process_time() - start) / N
    result = {"quick_ms": quick_ms, "official_ms": official_ms, "energy_ms": energy_ms}
    print(
        json.dumps(
            {name: round(value, 1) for name, value in result.items()} | {"ratio": round(official_ms / quick_ms, 2)}
        )
    )
