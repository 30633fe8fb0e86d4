"""Time of the vectorised legacy stability beside a double loop over atoms, and whether both say the same.

python benchmarks/legacy_stability.py

The loop is written as evaluation scripts of the field are: for each pair of atoms a NumPy distance and a look-up by
symbols. `plain` is the same loop with plain numbers and math.dist, the fastest that Python alone can do. Molecules: the
10,000 of G-SchNet from LATENT3D_MIRROR if set, else the embedded dataset, some of it twice.
"""

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

# As the command line does; one core for both.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from latent3d.data.molecules.molecules import ELEMENTS, Molecules
from latent3d.data.molecules.parquet import read_parquet
from latent3d.evaluation.validity import edm_protocol

ROOT = Path(__file__).parents[1]
MIRROR = os.environ.get("LATENT3D_MIRROR")
COUNT = 10_000
PICOMETRES = 100

SINGLE = {
    "H": {"H": 74, "C": 109, "N": 101, "O": 96, "F": 92}, "C": {"C": 154, "N": 147, "O": 143, "F": 135},
    "N": {"N": 145, "O": 140, "F": 136}, "O": {"O": 148, "F": 142}, "F": {"F": 142},
}  # fmt: skip
DOUBLE = {"C": {"C": 134, "N": 129, "O": 120}, "N": {"N": 125, "O": 121}, "O": {"O": 121}}
TRIPLE = {"C": {"C": 120, "N": 116, "O": 113}, "N": {"N": 110}}
VALENCE = {"H": 1, "C": 4, "N": 3, "O": 2, "F": 1}

for table in (SINGLE, DOUBLE, TRIPLE):
    for first, others in list(table.items()):
        for second, length in others.items():
            table.setdefault(second, {})[first] = length


def bond_order(first: str, second: str, distance: float) -> int:
    """The EDM rule for one pair; distance in picometres."""
    if distance >= SINGLE[first][second] + 10:
        return 0
    if second not in DOUBLE.get(first, {}) or distance >= DOUBLE[first][second] + 5:
        return 1
    if second not in TRIPLE.get(first, {}) or distance >= TRIPLE[first][second] + 3:
        return 2
    return 3


def double_loop(molecules: Molecules, plain: bool) -> tuple[list[bool], list[bool]]:
    """Whether each atom and each molecule is stable, atom by atom."""
    atoms_stable, molecules_stable = [], []
    for molecule in molecules:
        symbols = [ELEMENTS[number] for number in molecule.atomic_numbers]
        positions = molecule.positions.astype(float)
        if plain:
            positions = positions.tolist()
        valence = [0] * len(symbols)
        for i in range(len(symbols)):
            for j in range(i + 1, len(symbols)):
                if plain:
                    distance = math.dist(positions[i], positions[j])
                else:
                    distance = np.sqrt(np.sum((positions[i] - positions[j]) ** 2))
                order = bond_order(symbols[i], symbols[j], PICOMETRES * distance)
                valence[i] += order
                valence[j] += order
        stable = [VALENCE[symbol] == order for symbol, order in zip(symbols, valence, strict=True)]
        atoms_stable += stable
        molecules_stable.append(bool(stable) and all(stable))
    return atoms_stable, molecules_stable


def vectorised(molecules: Molecules) -> tuple[np.ndarray, np.ndarray]:
    """The same by `latent3d.evaluation.validity.edm_protocol`."""
    stable = edm_protocol.stable_atoms(molecules, edm_protocol.perceive(molecules))
    return stable, edm_protocol.stable_molecules(molecules, stable)


def seconds(function: Callable[[], object], repeats: int) -> float:
    """Best of some processor times."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


if __name__ == "__main__":
    file = Path(MIRROR) / "samples" / "gschnet_qm9_10000.parquet" if MIRROR else ROOT / "resources" / "mini.parquet"
    molecules = read_parquet(file)
    molecules = molecules.take(np.arange(COUNT) % len(molecules))
    fast = seconds(lambda: vectorised(molecules), 5)
    loop, plain = (seconds(lambda plain=plain: double_loop(molecules, plain), 1) for plain in (False, True))
    report = {
        "file": file.name,
        "molecules": len(molecules),
        "vectorised_s": round(fast, 4),
        "double_loop_s": round(loop, 2),
        "plain_double_loop_s": round(plain, 2),
        "ratio": round(loop / fast, 1),
        "ratio_to_plain": round(plain / fast, 1),
        "equal": all(map(np.array_equal, vectorised(molecules), double_loop(molecules, plain=True))),
    }
    print(json.dumps(report))
    if not report["equal"] or report["ratio"] < 30:
        raise SystemExit("the vectorised legacy stability must equal the double loop, 30 times faster")
