"""MMFF94s strain: how far a geometry lies above the local minimum that it belongs to."""

from dataclasses import asdict, dataclass

import numpy as np

from latent3d.base.errors import Failed
from latent3d.calculations.graph import force_field_graph
from latent3d.calculations.mechanics import Mechanics
from latent3d.calculations.mmff.system import mmff_system
from latent3d.data.molecules.alignment import kabsch_rmsd
from latent3d.data.molecules.molecules import Molecule

LARGEST_GRADIENT = 0.01
"""Root mean square, kcal/mol/angstrom: leaves about 1e-6 kcal/mol to go."""
MAX_ITERATIONS = 5000


@dataclass(frozen=True)
class Strain:
    """MMFF94s strain of a geometry, E(raw) - E(local minimum), and how far that minimum is.

    The minimum is the one that L-BFGS reaches from the raw geometry with all atoms free, in vacuum; no other
    conformers are searched ("global" strain would do that). It is zero for geometries of MMFF94s itself only: those of
    DFT have some kcal/mol, so compare with the row of real data.

    Attributes:
        strain: kcal/mol.
        rmsd_heavy: RMSD of heavy atoms between both geometries after the best proper rotation, angstrom.
        rmsd_all: the same of all atoms.
    """

    strain: float
    rmsd_heavy: float
    rmsd_all: float


def strain(molecule: Molecule) -> Strain:
    """MMFF94s strain on the molecule's own graph or, where bonds are unknown, on the one perceived.

    Raises:
        Failed: a reason of `force_field_graph`; `ff_untyped`; `ff_unconverged`, also where the energy is no number
            because atoms coincide.
    """
    mol = force_field_graph(molecule)
    raw = mol.GetConformer().GetPositions()
    raw -= raw.mean(axis=0)  # OpenMM's minimiser scales its criterion by the distance from the origin
    mechanics = Mechanics(mmff_system(mol), raw)
    energy_raw, _ = mechanics.energy_and_gradient()
    if not np.isfinite(energy_raw):
        raise Failed("ff_unconverged", "no energy of the raw geometry")
    energy, _ = mechanics.minimise(LARGEST_GRADIENT, MAX_ITERATIONS)
    minimum = mechanics.positions
    heavy = molecule.atomic_numbers > 1  # never none: MMFF has no type for hydrogen alone
    return Strain(
        strain=energy_raw - energy,
        rmsd_heavy=float(kabsch_rmsd(minimum[None, heavy], raw[heavy])[0]),
        rmsd_all=float(kabsch_rmsd(minimum[None], raw)[0]),
    )


def strain_task(molecule: Molecule) -> dict[str, float]:
    """`strain` as a dictionary, for `workers.Workers`."""
    return asdict(strain(molecule))
