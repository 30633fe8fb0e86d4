"""Local optimisation with GFN2-xTB in Cartesian coordinates: how the geometries of `mini` were made."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from latent3d.base.errors import Failed
from latent3d.calculations.gfn2.singlepoint import Gfn2, SinglePoint
from latent3d.data.molecules.units import ANGSTROM_PER_BOHR


@dataclass(frozen=True)
class Optimised:
    """A local minimum: positions [N, 3] (angstrom), its single point, largest force component (hartree/bohr)."""

    positions: np.ndarray
    single_point: SinglePoint
    largest_force: float
    evaluations: int


def optimise(
    molecule: Gfn2,
    positions: np.ndarray,
    largest_force: float = 1e-4,
    max_steps: int = 500,
) -> Optimised:
    """Relax to the nearest local minimum with BFGS in Cartesian coordinates, preconditioned by `model_hessian`.

    Args:
        molecule: calculator of the molecule.
        positions: [N, 3] start, angstrom.
        largest_force: convergence: no gradient component above this, hartree/bohr.
        max_steps: BFGS iterations.

    Raises:
        Failed: `scf_failed` at the start, or `opt_unconverged`.
    """
    shape = np.shape(positions)
    molecule.singlepoint(positions)
    evaluations = 0

    def energy_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal evaluations
        evaluations += 1
        try:
            point = molecule.singlepoint(x.reshape(shape) * ANGSTROM_PER_BOHR)
        except Failed:
            # A wall where the line search went too far: it backtracks.
            return 1e8, np.zeros(x.size)
        return point.energy, point.gradient.reshape(-1)

    start = (np.asarray(positions, dtype=float) / ANGSTROM_PER_BOHR).reshape(-1)
    inverse = np.linalg.inv(model_hessian(start.reshape(shape)))
    found = minimize(
        energy_and_gradient,
        start,
        jac=True,
        method="BFGS",
        options={"gtol": largest_force, "maxiter": max_steps, "hess_inv0": (inverse + inverse.T) / 2},
    )
    end = found.x.reshape(shape) * ANGSTROM_PER_BOHR
    point = molecule.singlepoint(end)
    force = float(np.abs(point.gradient).max())
    # BFGS stops at the noise of the self-consistent energy ("precision loss") just short of the criterion.
    if not found.success and force > 5 * largest_force:
        raise Failed("opt_unconverged")
    return Optimised(end, point, force, evaluations)


def model_hessian(positions: np.ndarray) -> np.ndarray:
    """A positive definite guess [3N, 3N] (hartree/bohr^2) of springs between all pairs, stiff when they are close.

    The decay with distance is of Lindh's kind (CPL 1995, 241, 423), with one parameter set for all elements.
    """
    n = len(positions)
    difference = positions[:, None] - positions[None]
    squared = (difference**2).sum(-1) + np.eye(n)
    strength = 0.45 * np.exp(0.3 * (2.3**2 - squared)).clip(max=3.0) * (1 - np.eye(n))
    blocks = -(strength / squared)[..., None, None] * difference[..., :, None] * difference[..., None, :]
    blocks[np.arange(n), np.arange(n)] = -blocks.sum(1)
    return blocks.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n) + 0.03 * np.eye(3 * n)
