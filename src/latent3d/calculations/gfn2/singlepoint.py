"""GFN2-xTB (Bannwarth, Ehlert, Grimme, JCTC 2019, 15, 1652) through tblite: single points.

One molecule, one thread, in this process; `workers` puts many molecules on many processes.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from latent3d.base.errors import Failed, UserError
from latent3d.data.molecules.units import ANGSTROM_PER_BOHR, DEBYE_PER_ATOMIC_UNIT, EV_PER_HARTREE

try:
    from tblite.interface import Calculator, Result
except ImportError as error:
    raise UserError("tblite is not installed. Install the extra: pip install 'latent3d[energy]'.") from error

HEAVIEST = 86
"""GFN2-xTB has parameters up to radon."""


@dataclass(frozen=True)
class SinglePoint:
    """Energy (hartree), gradient [N, 3] (hartree/bohr), dipole (debye), frontier orbitals (eV; None where absent)."""

    energy: float
    gradient: np.ndarray
    dipole: float
    homo: float | None
    lumo: float | None

    @property
    def gap(self) -> float | None:
        """LUMO minus HOMO, eV; a minimal basis has no virtual orbital in a few atoms and ions (None)."""
        return None if self.homo is None or self.lumo is None else self.lumo - self.homo


class Gfn2:
    """A molecule at changing positions. Every calculation starts from the density of the one before.

    Args:
        atomic_numbers: [N].
        positions: [N, 3], angstrom.
        charge: total charge.
        unpaired: number of unpaired electrons.

    Raises:
        Failed: `foreign_element`, or `odd_electrons` when the electron count and `unpaired` contradict each other.
    """

    def __init__(self, atomic_numbers: np.ndarray, positions: np.ndarray, charge: int = 0, unpaired: int = 0) -> None:
        numbers = np.asarray(atomic_numbers, dtype=int)
        if numbers.min() < 1 or numbers.max() > HEAVIEST:
            raise Failed("foreign_element")
        electrons = int(numbers.sum()) - charge
        if electrons % 2 != unpaired % 2:
            # tblite would quietly spread the odd electron over a closed shell.
            raise Failed("odd_electrons")
        if electrons < 1:
            raise Failed("scf_failed", "no electrons")
        with _as_failed():
            self._calculator = Calculator("GFN2-xTB", numbers, _bohr(positions), charge=charge, uhf=unpaired)
            self._calculator.set("verbosity", 0)
        self._density: Result | None = None

    def singlepoint(self, positions: np.ndarray) -> SinglePoint:
        """Self-consistent energy and properties at positions [N, 3], angstrom.

        Raises:
            Failed: `nan_coordinates`, or `scf_failed` also without the previous density.
        """
        if not np.isfinite(positions).all():
            raise Failed("nan_coordinates")
        with _as_failed():
            self._calculator.update(positions=_bohr(positions))
        try:
            if self._density is None:
                raise Failed("scf_failed")
            result = self._solve(self._density)
        except Failed:
            result = self._solve(None)
        self._density = result
        return _single_point(result)

    def gradient_at(self, positions: np.ndarray) -> np.ndarray:
        """Gradient [N, 3] (hartree/bohr) from the current density without replacing it: independent of call order."""
        with _as_failed():
            self._calculator.update(positions=_bohr(positions))
        return np.asarray(self._solve(self._density).get("gradient"))

    def _solve(self, density: Result | None) -> Result:
        with _as_failed():
            result = self._calculator.singlepoint(density, copy=True)
            if not np.isfinite(result.get("energy")) or not np.isfinite(result.get("gradient")).all():
                raise Failed("scf_failed")
        return result


def _single_point(result: Result) -> SinglePoint:
    energies, occupations = result.get("orbital-energies"), result.get("orbital-occupations")
    occupations = np.asarray(occupations)
    if occupations.ndim == 2:
        occupations = occupations.sum(0)
        energies = np.asarray(energies)[0]
    occupied = (round(float(occupations.sum())) + 1) // 2
    return SinglePoint(
        energy=float(result.get("energy")),
        gradient=np.array(result.get("gradient")),
        dipole=float(np.linalg.norm(result.get("dipole")) * DEBYE_PER_ATOMIC_UNIT),
        homo=float(energies[occupied - 1] * EV_PER_HARTREE) if occupied else None,
        lumo=float(energies[occupied] * EV_PER_HARTREE) if occupied < len(energies) else None,
    )


def _bohr(positions: np.ndarray) -> np.ndarray:
    return np.asarray(positions, dtype=float) / ANGSTROM_PER_BOHR


@contextlib.contextmanager
def _as_failed() -> Iterator[None]:
    """tblite reports every failure (no convergence, atoms on top of each other) as RuntimeError."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise Failed("scf_failed", str(error)) from error
