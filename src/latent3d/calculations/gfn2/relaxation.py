"""GFN2-xTB relaxation to the nearest local minimum: quasi-Newton steps in redundant internal coordinates.

What costs is the number of gradients. A model Hessian to start from, coordinates in which it stays nearly diagonal and
steps that follow them along curves need about half as many as Cartesian coordinates do.
"""

from dataclasses import asdict, dataclass

import numpy as np

from latent3d.base.errors import Failed
from latent3d.calculations.gfn2.geometry_change import geometry_change
from latent3d.calculations.gfn2.quadratic_model import QuadraticModel, Step
from latent3d.calculations.gfn2.singlepoint import Gfn2, SinglePoint
from latent3d.data.molecules.molecules import Molecule
from latent3d.data.molecules.units import ANGSTROM_PER_BOHR, KCAL_PER_HARTREE

ENERGY_CHANGE = 5e-6
"""Hartree; convergence needs a last step that changed the energy by no more (as `xtb --opt normal`)."""
GRADIENT_NORM = 1e-3
"""Hartree/bohr; convergence needs a Euclidean norm of the whole gradient below this (as `xtb --opt normal`)."""
MAX_STEPS = 200
"""More than ten times what a drug-size molecule needs; clouds of atoms that react take as many."""
FIRST_RADIUS, LARGEST_RADIUS = 0.1, 0.3
"""Limits of a step: root mean square displacement of the atoms, bohr."""
_SHORTEST_RADIUS = 1e-3
"""Bohr, of all displacements together; shorter steps tell no more than noise."""
_UPHILL = 1e-6
"""Hartree; a step that raises the energy by more is taken back."""


@dataclass(frozen=True)
class Relaxation:
    """Where a relaxation has ended.

    Attributes:
        positions: [N, 3], angstrom.
        start, end: single points at the given and at the final positions.
        steps: gradients computed after the first.
        converged: the last step changed the energy by at most `energy_change`, and the norm of the gradient is at most
            `gradient_norm` (`relax`).
    """

    positions: np.ndarray
    start: SinglePoint
    end: SinglePoint
    steps: int
    converged: bool

    @property
    def gradient_norm(self) -> float:
        """Euclidean norm of the gradient at the end, hartree/bohr."""
        return float(np.linalg.norm(self.end.gradient))


def relax(
    atomic_numbers: np.ndarray,
    positions: np.ndarray,
    charge: int = 0,
    unpaired: int = 0,
    energy_change: float = ENERGY_CHANGE,
    gradient_norm: float = GRADIENT_NORM,
    max_steps: int = MAX_STEPS,
) -> Relaxation:
    """Relax a molecule; without convergence after `max_steps`, what has been reached.

    The end is a stationary point: from an exactly symmetric start, it may be a saddle point.

    Args:
        atomic_numbers: [N].
        positions: [N, 3] start, angstrom.
        charge: total charge.
        unpaired: number of unpaired electrons.
        energy_change, gradient_norm: convergence, see `Relaxation`.
        max_steps: gradients after the first.

    Raises:
        Failed: what `Gfn2` raises at the start. Where it fails later, a shorter step is tried.
    """
    numbers = np.asarray(atomic_numbers, dtype=int)
    x = np.asarray(positions, dtype=float) / ANGSTROM_PER_BOHR
    molecule = Gfn2(numbers, positions, charge, unpaired)
    start = end = molecule.singlepoint(positions)
    converged = len(numbers) == 1
    model = None if converged else QuadraticModel(numbers, x, start.gradient)
    radius, largest = FIRST_RADIUS * np.sqrt(len(numbers)), LARGEST_RADIUS * np.sqrt(len(numbers))
    steps = 0
    while not converged and steps < max_steps:
        steps += 1
        step = model.step(radius)
        try:
            point = molecule.singlepoint(step.positions * ANGSTROM_PER_BOHR)
        except Failed:
            radius = max(step.length / 4, _SHORTEST_RADIUS)
            continue
        change = point.energy - end.energy
        radius = _next_radius(radius, step, change, largest)
        downhill = change <= _UPHILL
        if downhill:
            x, end = step.positions, point
            converged = abs(change) <= energy_change and np.linalg.norm(point.gradient) <= gradient_norm
        if not converged:
            model.learn(step.positions, point.gradient, move=downhill)
    return Relaxation(x * ANGSTROM_PER_BOHR, start, end, steps, bool(converged))


def relaxation_task(task: tuple[Molecule, int]) -> dict[str, float | bool | None]:
    """What GFN2-xTB relaxation does to a (molecule, total charge) in its lowest spin state, for `workers.Workers`.

    Energies in hartree but for the relaxation energies (kcal/mol); dipole in debye, orbitals in eV, geometry as in
    `GeometryChange`; `steps` as in `Relaxation`.

    Raises:
        Failed: `opt_unconverged`, or what `relax` raises.
    """
    molecule, charge = task
    electrons = int(molecule.atomic_numbers.sum()) - charge
    found = relax(molecule.atomic_numbers, molecule.positions, charge, unpaired=electrons % 2)
    if not found.converged:
        raise Failed("opt_unconverged")
    gained = (found.start.energy - found.end.energy) * KCAL_PER_HARTREE
    return {
        "energy_relaxed": found.end.energy,
        "relaxation_energy": gained,
        "relaxation_energy_per_atom": gained / len(molecule),
        **{f"{name}_relaxed": getattr(found.end, name) for name in ("dipole", "homo", "lumo", "gap")},
        **asdict(geometry_change(molecule, found.positions)),
        "steps": found.steps,
    }


def _next_radius(radius: float, step: Step, change: float, largest: float) -> float:
    """A shorter limit where the model was wrong, a longer one where it was right and held back."""
    if change > 0.25 * step.expected and abs(change) > _UPHILL:
        return max(step.length / 2, _SHORTEST_RADIUS)
    if change < 0.6 * step.expected and step.length > 0.8 * radius:
        return min(2 * radius, largest)
    return radius
