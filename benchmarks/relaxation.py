"""Throughput of GFN2-xTB relaxation beside `xtb --opt normal` on the same molecules, measured in turns in one run.

python benchmarks/relaxation.py [count] [rounds]

Molecules: the embedded ones with noise of 0.05 Å; with LATENT3D_MIRROR set, also QM9's and drug-like ones, as they are
and with the noise. Both programs run with one thread per process; each `xtb` in a temporary folder of its own. Times
are the best of the rounds, without starting the workers. Excess energies are above `xtb --opt tight`, kcal/mol.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from latent3d.base.workers import Workers
from latent3d.calculations.gfn2.relaxation import relaxation_task
from latent3d.data.molecules.molecules import ELEMENTS, Molecule, Molecules
from latent3d.data.molecules.parquet import read_parquet
from latent3d.data.molecules.read import read_molecules
from latent3d.data.molecules.units import KCAL_PER_HARTREE

ROOT = Path(__file__).parents[1]
NOISE = 0.05
"""Angstrom, standard deviation."""
TIME_LIMIT = 600.0


def xtb(molecule: Molecule, level: str) -> tuple[float, int] | None:
    """Energy (hartree) and number of steps of `xtb --opt`; None if it did not converge."""
    lines = [f"{ELEMENTS[z]} {x:.10f} {y:.10f} {w:.10f}" for z, (x, y, w) in zip(*arrays(molecule), strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "molecule.xyz").write_text("\n".join([str(len(molecule)), "", *lines, ""]))
        output = subprocess.run(
            ["xtb", "molecule.xyz", "--opt", level, "--chrg", str(charge(molecule))],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        ).stdout
    steps = re.search(r"GEOMETRY OPTIMIZATION CONVERGED AFTER\s+(\d+)", output)
    return (float(re.findall(r"TOTAL ENERGY\s+(-?[\d.]+)", output)[-1]), int(steps[1])) if steps else None


def arrays(molecule: Molecule) -> tuple[list[int], list[list[float]]]:
    """Atomic numbers and positions."""
    return molecule.atomic_numbers.tolist(), molecule.positions.tolist()


def charge(molecule: Molecule) -> int:
    """Of the graph; 0 without one."""
    return 0 if molecule.formal_charges is None else int(molecule.formal_charges.sum())


def xtb_all(molecules: Sequence[Molecule], level: str, processes: int) -> list[tuple[float, int] | None]:
    """`xtb` of all molecules, so many at a time."""
    with ThreadPoolExecutor(processes) as pool:
        return list(pool.map(lambda molecule: xtb(molecule, level), molecules))


def compare(molecules: Sequence[Molecule], rounds: int) -> dict[str, float | int | list[float]]:
    """Rates (molecules/s), their ratios, gradients and excess energies."""
    tasks = [(molecule, charge(molecule)) for molecule in molecules]
    with Workers(relaxation_task, 1, TIME_LIMIT) as one, Workers(relaxation_task, 2, TIME_LIMIT) as two:
        for workers in (one, two):
            workers.map(tasks[:2])
        runs: dict[str, Callable[[], list]] = {
            "ours_1": lambda: one.map(tasks),
            "xtb_1": lambda: xtb_all(molecules, "normal", 1),
            "ours_2": lambda: two.map(tasks),
            "xtb_2": lambda: xtb_all(molecules, "normal", 2),
        }
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(rounds):
            for name, run in runs.items():
                start = time.perf_counter()
                result = run()
                seconds[name].append(time.perf_counter() - start)
                if name == "ours_1":
                    ours = [(o.value["energy_relaxed"], o.value["steps"]) if o.status == "ok" else None for o in result]
                elif name == "xtb_1":
                    normal = result
    tight = xtb_all(molecules, "tight", 2)
    rate = {name: len(molecules) / min(times) for name, times in seconds.items()}
    return {
        "molecules": len(molecules),
        "atoms": round(float(np.mean([len(molecule) for molecule in molecules])), 1),
        **{f"{name}_per_s": round(value, 2) for name, value in rate.items()},
        "ratio_1": round(rate["ours_1"] / rate["xtb_1"], 2),
        "ratio_2": round(rate["ours_2"] / rate["xtb_2"], 2),
        "gain_of_two_over_xtb": round(rate["ours_2"] / rate["ours_1"] / (rate["xtb_2"] / rate["xtb_1"]), 3),
        "failed": [sum(result is None for result in results) for results in (ours, normal)],
        "steps": [round(float(np.mean([r[1] for r in results if r])), 1) for results in (ours, normal)],
        "excess_median": [round(excess(results, tight), 4) for results in (ours, normal)],
    }


def excess(results: list[tuple[float, int] | None], tight: list[tuple[float, int] | None]) -> float:
    """Median energy above the tight optimisation, kcal/mol."""
    both = [(result[0] - best[0]) for result, best in zip(results, tight, strict=True) if result and best]
    return float(np.median(both)) * KCAL_PER_HARTREE


def drawn(molecules: Molecules, count: int) -> Molecules:
    """A seeded choice of closed-shell molecules."""
    order = np.random.default_rng(0).permutation(len(molecules))
    closed = [i for i in order[: 2 * count] if (int(molecules[i].atomic_numbers.sum()) - charge(molecules[i])) % 2 == 0]
    return molecules.take(closed[:count])


def noisy(molecules: Molecules) -> Molecules:
    """The molecules with every coordinate displaced."""
    shifts = np.random.default_rng(1).normal(0, NOISE, molecules.positions.shape)
    return molecules.with_positions(molecules.positions + shifts)


def main(count: int, rounds: int) -> None:
    """Print one line per set of molecules."""
    if shutil.which("xtb") is None:
        raise SystemExit("This needs the command xtb (Debian package xtb).")
    sets = {"mini, noise": noisy(drawn(read_parquet(ROOT / "resources" / "mini.parquet"), count))}
    if mirror := os.environ.get("LATENT3D_MIRROR"):
        qm9 = drawn(read_parquet(Path(mirror, "qm9", "qm9_geometries.parquet")).split("test"), count)
        drugs = drawn(read_molecules(Path(mirror, "druglike", "druglike_conformers.sdf.gz")), max(1, count // 3))
        sets |= {"QM9": qm9, "QM9, noise": noisy(qm9), "drug-like": drugs, "drug-like, noise": noisy(drugs)}
    for name, molecules in sets.items():
        print(json.dumps({"set": name, **compare(list(molecules), rounds)}), flush=True)


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]] + [60, 3][len(sys.argv) - 1 :]
    main(*arguments)
