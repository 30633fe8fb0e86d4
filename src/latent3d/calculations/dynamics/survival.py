"""Does a generated molecule stay itself for 10 ps at 300 K? Langevin dynamics in OpenMM under MMFF94s or GFN2-xTB."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from rdkit import Chem

from latent3d.calculations.dynamics.gfn2_force import Gfn2Force
from latent3d.calculations.graph import force_field_graph
from latent3d.calculations.mechanics import Mechanics, openmm
from latent3d.calculations.mmff.system import mmff_system
from latent3d.data.molecules.contacts import BondGraph
from latent3d.data.molecules.molecules import Molecule

FRICTION = 1.0
"""Per picosecond."""
STEP = 0.001
"""Picoseconds. All hydrogens move freely; their fastest vibration takes ten steps."""
STEPS_PER_CHECK = 10

ForceField = Literal["mmff94s", "gfn2"]


@dataclass(frozen=True)
class Survival:
    """Whether a molecule kept its bond graph.

    Attributes:
        survived: True if no bond broke and none formed.
        failure: `bond_broken`, `bond_formed`, or `exploded` (positions are no numbers any more); None if it survived.
        failure_time: picoseconds until then; 0 where the generated geometry itself contradicts its graph.
    """

    survived: bool
    failure: str | None = None
    failure_time: float | None = None


def survival(
    molecule: Molecule,
    force_field: ForceField = "mmff94s",
    seed: int | Sequence[int] = 0,
    picoseconds: float = 10.0,
    temperature: float = 300.0,
) -> Survival:
    """Run Langevin dynamics (LangevinMiddleIntegrator) until the bond graph changes or the time is over.

    It starts from the generated geometry itself, with velocities of the temperature: a bad geometry heats the
    molecule, which the thermostat takes picoseconds to undo, and this is part of the question. (A relaxed copy of the
    samples answers for relaxed geometries.) The graph is the molecule's own, or perceived where bonds are unknown; the
    charge is the graph's. Both force fields are judged by distances alone (`molecules.contacts.BondGraph`).

    Equal arguments give equal results, on one machine to the last bit; OpenMM's Reference platform draws all random
    numbers of a process from one stream, so two simulations must not take turns.

    Args:
        molecule: positions in angstrom.
        force_field: `mmff94s`, in which bonds can stretch but not dissociate, or `gfn2`.
        seed: one number or several, e.g. (seed, sample_index).
        picoseconds: length of the simulation.
        temperature: kelvin.

    Raises:
        Failed: a reason of `force_field_graph`; `ff_untyped` (MMFF94s); `foreign_element`, `odd_electrons` or
            `scf_failed` (GFN2; at any time of the simulation).
    """
    mol = force_field_graph(molecule)
    gfn2 = Gfn2Force(mol) if force_field == "gfn2" else None
    integrator = openmm.LangevinMiddleIntegrator(temperature, FRICTION, STEP)
    stream = int(np.random.SeedSequence(seed).generate_state(1)[0]) % (2**31 - 1) + 1  # 0 would mean "at random"
    integrator.setRandomNumberSeed(stream)
    mechanics = Mechanics(
        mmff_system(mol) if gfn2 is None else gfn2.system, mol.GetConformer().GetPositions(), integrator
    )
    mechanics.context.setVelocitiesToTemperature(temperature, stream)
    graph = BondGraph(molecule.atomic_numbers, np.argwhere(np.triu(Chem.GetAdjacencyMatrix(mol))))
    failure = graph.failure(mechanics.positions)
    step = 0
    while failure is None and step < round(picoseconds / STEP):
        try:
            integrator.step(STEPS_PER_CHECK)
            failure = graph.failure(mechanics.positions)
        except openmm.OpenMMException as error:
            if gfn2 is not None and gfn2.failed is not None and gfn2.failed.reason == "scf_failed":
                raise gfn2.failed from error
            failure = "exploded"
        step += STEPS_PER_CHECK
    return Survival(failure is None, failure, None if failure is None else round(step * STEP, 6))


def dynamics_task(
    task: tuple[Molecule, ForceField, int | Sequence[int], float],
) -> dict[str, bool | str | float | None]:
    """`survival` of (molecule, force field, seed, picoseconds) as a dictionary, for `workers.Workers`."""
    return asdict(survival(*task))
