"""One molecule in OpenMM on one thread: positions, energies and gradients in angstrom and kcal/mol, minimisation.

Other files take `openmm` from here, so that there is one place that explains its absence.
"""

import numpy as np

from latent3d.base.errors import Failed, UserError
from latent3d.data.molecules.units import KJ_PER_KCAL

try:
    import openmm
except ImportError as error:
    raise UserError("OpenMM is not installed. Install the extra: pip install 'latent3d[energy]'.") from error

_GRADIENT = 10 * KJ_PER_KCAL
"""kJ/mol/nm in one kcal/mol/angstrom."""
_REFERENCE = openmm.Platform.getPlatformByName("Reference")
"""One thread, double precision; faster for one small molecule than the platform CPU."""


class Mechanics:
    """A molecule at changing positions.

    Args:
        system: its particles are N atoms, perhaps followed by massless sites, which stay hidden.
        positions: [N, 3], angstrom.
        integrator: what moves it; nothing does by default.
    """

    def __init__(
        self, system: openmm.System, positions: np.ndarray, integrator: openmm.Integrator | None = None
    ) -> None:
        self.context = openmm.Context(system, integrator or openmm.VerletIntegrator(0.001), _REFERENCE)
        self._atoms = len(positions)
        sites = np.zeros((system.getNumParticles() - self._atoms, 3))
        self.context.setPositions(np.concatenate([positions / 10, sites]))
        self.context.computeVirtualSites()

    @property
    def positions(self) -> np.ndarray:
        """[N, 3], angstrom."""
        state = self.context.getState(positions=True)
        return 10 * state.getPositions(asNumpy=True)._value[: self._atoms]

    def energy_and_gradient(self) -> tuple[float, np.ndarray]:
        """Potential energy (kcal/mol) and its gradient [N, 3] (kcal/mol/angstrom)."""
        state = self.context.getState(energy=True, forces=True)
        gradient = state.getForces(asNumpy=True)._value[: self._atoms] / -_GRADIENT
        return state.getPotentialEnergy()._value / KJ_PER_KCAL, gradient

    def minimise(self, largest_gradient: float, max_iterations: int) -> tuple[float, np.ndarray]:
        """Go to the nearest local minimum with L-BFGS; returns energy and gradient there.

        Args:
            largest_gradient: convergence: root mean square of the gradient's components, kcal/mol/angstrom.
            max_iterations: L-BFGS iterations.

        Raises:
            Failed: `ff_unconverged`, also where the energy is no number.
        """
        try:
            openmm.LocalEnergyMinimizer.minimize(self.context, largest_gradient * _GRADIENT, max_iterations)
        except openmm.OpenMMException as error:
            raise Failed("ff_unconverged", str(error)) from error
        energy, gradient = self.energy_and_gradient()
        # Written so that NaN has not converged.
        if not (gradient**2).mean() <= largest_gradient**2:
            raise Failed("ff_unconverged")
        return energy, gradient
