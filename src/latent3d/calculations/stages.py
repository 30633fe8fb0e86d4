"""The kinds of calculation behind energies.parquet: what each computes, what hinders it, how long it may take."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from latent3d.calculations.dynamics.survival import dynamics_task
from latent3d.calculations.gfn2.relaxation import relaxation_task
from latent3d.calculations.gfn2.singlepoint import HEAVIEST, Gfn2
from latent3d.calculations.mmff.strain import strain_task
from latent3d.data.molecules.molecules import Molecule

PICOSECONDS = 10.0
_SIZE = 18.0
_ORBITALS = ("dipole", "homo", "lumo", "gap")


@dataclass(frozen=True)
class Subject:
    """A sample as the stages see it: molecule, total charge, and the seeds of its own random numbers."""

    molecule: Molecule
    charge: int
    seeds: tuple[int, int]


@dataclass(frozen=True)
class Stage:
    """One kind of calculation.

    Attributes:
        name: what messages call it.
        status: column of energies.parquet that says `ok` or why there is no value.
        function: of one argument, returning a dictionary; run by worker processes.
        argument: of the function, made of a sample.
        columns: column of energies.parquet to the key of the function's dictionary.
        time_limit: seconds per sample.
        seconds: of a molecule of QM9's size (18 atoms) on one core, for estimates.
        power: by which the time grows with the number of atoms, roughly.
        needs_single_point: whether it fails where the GFN2 single point has failed.
    """

    name: str
    status: str
    function: Callable[[Any], Mapping[str, Any]]
    argument: Callable[[Subject], Any]
    columns: Mapping[str, str]
    time_limit: float
    seconds: float
    power: float
    needs_single_point: bool = False

    def estimate(self, atoms: np.ndarray) -> float:
        """Seconds on one core for molecules of [N] atoms."""
        return float(self.seconds * ((atoms / _SIZE) ** self.power).sum())


def single_point(task: tuple[Molecule, int]) -> dict[str, float | None]:
    """Energy (hartree), dipole (debye) and frontier orbitals (eV) of a closed-shell (molecule, charge).

    Raises:
        Failed: see `Gfn2`.
    """
    molecule, charge = task
    positions = molecule.positions.astype(float)
    point = Gfn2(molecule.atomic_numbers, positions, charge).singlepoint(positions)
    return {
        "energy": point.energy,
        "energy_per_atom": point.energy / len(molecule),
        **{name: getattr(point, name) for name in _ORBITALS},
    }


def obstacle(molecule: Molecule, charge: int) -> str:
    """Why no stage can start on a molecule, or `ok`.

    An odd number of electrons is a failure of the sample, not something to compute: no dataset here has radicals, and
    doublet energies would enter distributions of closed-shell molecules. The table says `odd_electrons` and one
    unpaired electron.
    """
    if len(molecule) == 0:
        return "decode_failed"
    if not np.isfinite(molecule.positions).all():
        return "nan_coordinates"
    if molecule.atomic_numbers.min() < 1 or molecule.atomic_numbers.max() > HEAVIEST:
        return "foreign_element"
    return "odd_electrons" if unpaired_electrons(molecule, charge) else "ok"


def unpaired_electrons(molecule: Molecule, charge: int) -> int:
    """1 if the number of electrons is odd, else 0: the lowest spin."""
    return (int(molecule.atomic_numbers.sum()) - charge) % 2


def _molecule_and_charge(subject: Subject) -> tuple[Molecule, int]:
    return subject.molecule, subject.charge


def _molecular_dynamics(name: str, field: str, force_field: str, **details: Any) -> Stage:
    return Stage(
        name,
        f"md_{field}_status",
        dynamics_task,
        lambda subject: (subject.molecule, force_field, subject.seeds, PICOSECONDS),
        {f"md_{field}_{key}": key for key in ("survived", "failure", "failure_time")},
        **details,
    )


SINGLE_POINT = Stage(
    "single_point",
    "status",
    single_point,
    _molecule_and_charge,
    {name: name for name in ("energy", "energy_per_atom", *_ORBITALS)},
    time_limit=60.0,
    seconds=0.007,
    power=2.6,
)
EXPENSIVE = (
    Stage(
        "relaxation",
        "relax_status",
        relaxation_task,
        _molecule_and_charge,
        {
            name: name
            for name in (
                "energy_relaxed",
                "relaxation_energy",
                "relaxation_energy_per_atom",
                "rmsd_heavy",
                "rmsd_all",
                "bond_change",
                "angle_change",
                "torsion_change",
                *(f"{name}_relaxed" for name in _ORBITALS),
                "graph_survived",
                "steps",
            )
        },
        time_limit=900.0,
        seconds=0.05,
        power=2.6,
        needs_single_point=True,
    ),
    Stage(
        "strain",
        "strain_status",
        strain_task,
        lambda subject: subject.molecule,
        {"strain": "strain"},
        time_limit=120.0,
        seconds=0.02,
        power=2.0,
    ),
    _molecular_dynamics("dynamics", "mmff", "mmff94s", time_limit=600.0, seconds=0.5, power=1.6),
    _molecular_dynamics(
        "gfn2_dynamics", "gfn2", "gfn2", time_limit=7200.0, seconds=45.0, power=2.4, needs_single_point=True
    ),
)
"""Stages that a configuration asks for, for all samples or for some: the names are its keys."""
