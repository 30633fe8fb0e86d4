"""GFN2-xTB as a force of OpenMM."""

import numpy as np
from rdkit import Chem

from latent3d.base.errors import Failed
from latent3d.calculations.gfn2.singlepoint import Gfn2
from latent3d.calculations.mechanics import openmm
from latent3d.data.molecules.units import ANGSTROM_PER_BOHR, KJ_PER_HARTREE


class Gfn2Force:
    """A closed-shell molecule as an OpenMM System; every self-consistent field starts from the last density.

    Attributes:
        system: atoms and one PythonForce.
        failed: why the last call failed; OpenMM turns every exception into one of its own.
    """

    def __init__(self, mol: Chem.Mol) -> None:
        numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
        self._gfn2 = Gfn2(numbers, mol.GetConformer().GetPositions(), Chem.GetFormalCharge(mol))
        self.failed: Failed | None = None
        self.system = openmm.System()
        for atom in mol.GetAtoms():
            self.system.addParticle(atom.GetMass())
        self.system.addForce(openmm.PythonForce(self._energy_and_forces))

    def _energy_and_forces(self, state: openmm.State) -> tuple[float, np.ndarray]:
        """kJ/mol and kJ/mol/nm."""
        try:
            point = self._gfn2.singlepoint(10 * state.getPositions(asNumpy=True)._value)
        except Failed as failed:
            self.failed = failed
            raise
        return point.energy * KJ_PER_HARTREE, point.gradient * (-KJ_PER_HARTREE / (ANGSTROM_PER_BOHR / 10))
