"""The energy of a molecule near a geometry to second order, in redundant internal coordinates: where to step next."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from latent3d.calculations.gfn2.model_hessian import model_hessian
from latent3d.calculations.gfn2.redundant_coordinates import RedundantCoordinates, connecting_bonds, pseudo_inverse

_SOFTEST = 1e-5
"""Hartree/bohr^2; the least curvature that a step assumes. Where the model has less, an update would be noise."""
_ITERATIONS, _CLOSE = 12, 1e-4
"""Of the search for the positions (bohr) that have given internal coordinates."""


@dataclass(frozen=True)
class Step:
    """Proposed positions [N, 3] (bohr), length of the step to them (bohr), energy change expected (hartree)."""

    positions: np.ndarray
    length: float
    expected: float


class QuadraticModel:
    """The energy near a geometry to second order in internal coordinates, improved by every gradient (BFGS)."""

    def __init__(self, atomic_numbers: np.ndarray, positions: np.ndarray, gradient: np.ndarray) -> None:
        self._numbers = atomic_numbers
        self._begin(positions, gradient)

    def _begin(self, positions: np.ndarray, gradient: np.ndarray) -> None:
        bonds = connecting_bonds(self._numbers, positions)
        self._coordinates = RedundantCoordinates(bonds, self._numbers, positions)
        self._hessian = model_hessian(self._coordinates, self._numbers, positions)  # [Q, Q]
        self._here = _Geometry(self._coordinates, positions, gradient)

    def step(self, radius: float) -> Step:
        """The minimum of the model within `radius` (Euclidean norm of all displacements, bohr)."""
        here = self._here
        hessian = here.jacobian.T @ self._hessian @ here.jacobian
        curvatures, modes = np.linalg.eigh(hessian)
        slopes = modes.T @ here.gradient
        curvatures = curvatures.clip(_SOFTEST)

        def excess(shift: float) -> float:
            return float(np.linalg.norm(slopes / (curvatures + shift))) - radius

        shift = brentq(excess, 0, np.linalg.norm(slopes) / radius, rtol=1e-3) if excess(0) > 0 else 0.0
        displacement = -modes @ (slopes / (curvatures + shift))
        expected = here.gradient @ displacement + 0.5 * displacement @ hessian @ displacement
        return Step(self._follow(displacement), float(np.linalg.norm(displacement)), float(expected))

    def learn(self, positions: np.ndarray, gradient: np.ndarray, move: bool) -> None:
        """Use the gradient [N, 3] (hartree/bohr) found at positions [N, 3] (bohr); with `move`, go there."""
        here, there = self._here, _Geometry(self._coordinates, positions, gradient)
        step = self._coordinates.difference(there.values, here.values)
        self._hessian = _bfgs(self._hessian, step, there.internal_gradient - here.internal_gradient)
        if move:
            self._here = there
            if self._coordinates.is_stale(positions):
                self._begin(positions, gradient)

    def _follow(self, displacement: np.ndarray) -> np.ndarray:
        """Positions [N, 3] where the internal coordinates have changed as the straight `displacement` [3N] wants it."""
        here = self._here
        target = here.jacobian @ displacement
        positions = here.positions + displacement.reshape(-1, 3)
        best, least = positions, np.inf
        for _ in range(_ITERATIONS):
            done = self._coordinates.difference(self._coordinates.values(positions), here.values)
            correction = here.inverse @ self._coordinates.difference(target, done)
            error = float(np.abs(correction).max())
            if error < least:
                best, least = positions, error
            if error < _CLOSE or error > 2 * least:
                break
            positions = positions + correction.reshape(-1, 3)
        return best


class _Geometry:
    """Positions [N, 3] and gradient (flat, [3N]) with what the internal coordinates make of them."""

    def __init__(self, coordinates: RedundantCoordinates, positions: np.ndarray, gradient: np.ndarray) -> None:
        self.positions = positions
        self.gradient = gradient.reshape(-1)
        self.values = coordinates.values(positions)
        self.jacobian = coordinates.jacobian(positions)
        self.inverse = pseudo_inverse(self.jacobian)
        self.internal_gradient = self.inverse.T @ self.gradient


def _bfgs(hessian: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """BFGS update by the gradient's `change` over a `step`, damped to stay positive (Powell 1978)."""
    known = hessian @ step
    along = step @ known
    if along <= _SOFTEST * (step @ step):
        return hessian
    measured = step @ change
    if measured < 0.2 * along:
        part = 0.8 * along / (along - measured)
        change = part * change + (1 - part) * known
        measured = 0.2 * along
    return hessian - np.outer(known, known) / along + np.outer(change, change) / measured
