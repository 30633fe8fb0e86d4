"""Fit the constants of the model Hessian to GFN2-xTB Hessians, and tell how near it comes.

LATENT3D_MIRROR=... PYTHONPATH=tools python benchmarks/model_hessian.py

60 training molecules of QM9 and 40 drug-like ones of at most 34 atoms, at their GFN2 minima. The fit minimises the mean
square of ln(ratio), where the ratios are the generalised eigenvalues of the true and the model Hessian: all 1 for a
model whose Newton steps need no update. Takes some minutes.
"""

import json
import os
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize

from latent3d.calculations.gfn2.model_hessian import FITTED, ForceConstants, model_hessian
from latent3d.calculations.gfn2.redundant_coordinates import RedundantCoordinates, connecting_bonds
from latent3d.calculations.gfn2.relaxation import relax
from latent3d.calculations.gfn2.singlepoint import Gfn2
from latent3d.data.molecules.molecules import Molecule
from latent3d.data.molecules.parquet import read_parquet
from latent3d.data.molecules.read import read_molecules
from latent3d.data.molecules.units import ANGSTROM_PER_BOHR
from mini.vibrations import hessian

SOFTEST = 5e-4
"""Hartree/bohr^2; a minimum's curvatures below this, or negative ones, count as this."""
FARTHEST = 3.0
"""|ln(ratio)| counts no more than this."""


class Example:
    """A molecule at its minimum: coordinates, jacobian and true Hessian in a basis without rigid motions."""

    def __init__(self, molecule: Molecule) -> None:
        self.numbers = molecule.atomic_numbers.astype(int)
        found = relax(self.numbers, molecule.positions, energy_change=1e-6, gradient_norm=2e-4)
        matrix = hessian(Gfn2(self.numbers, found.positions), found.positions)
        self.x = found.positions / ANGSTROM_PER_BOHR
        self.coordinates = RedundantCoordinates(connecting_bonds(self.numbers, self.x), self.numbers, self.x)
        jacobian = self.coordinates.jacobian(self.x)
        values, vectors = np.linalg.eigh(jacobian.T @ jacobian)
        basis = vectors[:, values > 1e-6]
        self.jacobian = jacobian @ basis
        curvatures, modes = np.linalg.eigh(basis.T @ matrix @ basis)
        self.true = (modes * curvatures.clip(SOFTEST)) @ modes.T

    def logarithms(self, constants: ForceConstants) -> np.ndarray:
        """ln(true / model) by mode."""
        internal = model_hessian(self.coordinates, self.numbers, self.x, constants)
        model = self.jacobian.T @ internal @ self.jacobian
        return np.log(eigh(self.true, model, eigvals_only=True)).clip(-FARTHEST, FARTHEST)


def closed_shell(molecule: Molecule) -> bool:
    """Whether a neutral molecule has an even number of electrons."""
    return int(molecule.atomic_numbers.sum()) % 2 == 0


def examples(mirror: Path) -> list[Example]:
    """The molecules to fit to, one conformer each."""
    random = np.random.default_rng(0)
    qm9 = read_parquet(mirror / "qm9" / "qm9_geometries.parquet").split("train")
    drugs = read_molecules(mirror / "druglike" / "druglike_conformers.sdf.gz")
    small = {
        tuple(molecule.atomic_numbers): molecule
        for molecule in drugs
        if 12 <= len(molecule) <= 34 and closed_shell(molecule)
    }
    chosen = [qm9[int(index)] for index in random.choice(len(qm9), 60, replace=False)]
    chosen += [list(small.values())[index] for index in random.choice(len(small), 40, replace=False)]
    return [Example(molecule) for molecule in chosen]


if __name__ == "__main__":
    known = examples(Path(os.environ["LATENT3D_MIRROR"]))

    def logarithms(parameters: np.ndarray) -> np.ndarray:
        """Of all examples, for logarithms of the constants."""
        constants = ForceConstants(*np.exp(parameters))
        return np.concatenate([example.logarithms(constants) for example in known])

    start = np.log(astuple(FITTED))
    fit = minimize(lambda parameters: (logarithms(parameters) ** 2).mean(), start, options={"maxiter": 30})
    for name, parameters in (("committed", start), ("fitted", fit.x)):
        found = logarithms(parameters)
        ratios = np.exp(np.percentile(found, [5, 25, 50, 75, 95])).round(2).tolist()
        values = zip(fields(ForceConstants), np.exp(parameters), strict=True)
        print(json.dumps({"constants": name, "mean_square": round(float((found**2).mean()), 4), "ratios": ratios}))
        print(json.dumps({field.name: float(f"{value:.3g}") for field, value in values}))
