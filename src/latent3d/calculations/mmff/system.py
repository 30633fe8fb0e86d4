"""MMFF94 and MMFF94s (Halgren, J. Comput. Chem. 1996, 17, 490; 1999, 20, 720) as an OpenMM System.

Types, charges and parameters are RDKit's, so that energies are RDKit's; OpenMM brings minimisation and dynamics.
The expressions take MMFF's units (millidyne, angstrom, kcal/mol) and give OpenMM's (kJ/mol, nm, radian). Their
constants are exact where the papers round (0.043844, 2.51210).
"""

import itertools
from collections.abc import Iterator

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdForceFieldHelpers
from rdkit.ForceField.rdForceField import MMFFMolProperties

from latent3d.base.errors import Failed
from latent3d.calculations.mechanics import openmm
from latent3d.data.molecules.units import KJ_PER_KCAL

_MILLIDYNE = 143.9325 * KJ_PER_KCAL
"""kJ/mol per millidyne angstrom."""
_COULOMB = 332.0716 * KJ_PER_KCAL
"""kJ/mol angstrom per squared elementary charge."""
_CUBIC_BEND = -0.006981317 * 180 / np.pi
_LINEAR_TYPES = (4, 53, 61)
"""MMFF types of central atoms whose ideal angle is 180 degrees."""
_TWISTABLE = (Chem.HybridizationType.SP2, Chem.HybridizationType.SP3)


def mmff_system(mol: Chem.Mol, variant: str = "MMFF94s") -> openmm.System:
    """The molecule in vacuum: its N atoms, then massless sites for the out-of-plane angles.

    All pairs interact, those of different fragments too (RDKit's default leaves them out).

    Args:
        mol: sanitised, with explicit hydrogens; its conformers are not used.
        variant: MMFF94s or MMFF94; they differ at planar nitrogen.

    Raises:
        Failed: `ff_untyped`, MMFF has no type for some atom (boron, selenium, most metals).
    """
    mol = Chem.Mol(mol)  # typing kekulises in place
    with rdBase.BlockLogs():
        mmff = rdForceFieldHelpers.MMFFGetMoleculeProperties(mol, mmffVariant=variant)
    if mmff is None:
        raise Failed("ff_untyped")
    system = openmm.System()
    for atom in mol.GetAtoms():
        system.addParticle(atom.GetMass())
    for term in (_bonds, _angles, _linear_angles, _stretch_bends, _torsions, _pairs):
        system.addForce(term(mol, mmff))
    system.addForce(_out_of_plane(mol, mmff, system))
    return system


def _bonds(mol: Chem.Mol, mmff: MMFFMolProperties) -> openmm.Force:
    force = openmm.CustomBondForce(f"{_MILLIDYNE}/2*k*d^2*(1 - 2*d + 7/3*d^2); d = 10*r - r0")
    force.addPerBondParameter("k")
    force.addPerBondParameter("r0")
    for bond in mol.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        force.addBond(i, j, mmff.GetMMFFBondStretchParams(mol, i, j)[1:])
    return force


def _angles(mol: Chem.Mol, mmff: MMFFMolProperties) -> openmm.Force:
    force = openmm.CustomAngleForce(f"{_MILLIDYNE}/2*k*d^2*(1 + {_CUBIC_BEND}*d); d = theta - theta0")
    force.addPerAngleParameter("k")
    force.addPerAngleParameter("theta0")
    for i, j, k in _angle_atoms(mol, mmff, linear=False):
        _, stiffness, theta0 = mmff.GetMMFFAngleBendParams(mol, i, j, k)
        force.addAngle(i, j, k, [stiffness, np.deg2rad(theta0)])
    return force


def _linear_angles(mol: Chem.Mol, mmff: MMFFMolProperties) -> openmm.Force:
    force = openmm.CustomAngleForce(f"{_MILLIDYNE}*k*(1 + cos(theta))")
    force.addPerAngleParameter("k")
    for i, j, k in _angle_atoms(mol, mmff, linear=True):
        force.addAngle(i, j, k, [mmff.GetMMFFAngleBendParams(mol, i, j, k)[1]])
    return force


def _stretch_bends(mol: Chem.Mol, mmff: MMFFMolProperties) -> openmm.Force:
    """Every angle is a "donor" of a hydrogen-bond force whose one acceptor does not occur in the expression.

    CustomCompoundBondForce is the class meant for such a term, but takes as long as all other terms together, to
    compile and to run.
    """
    force = openmm.CustomHbondForce(
        f"{_MILLIDYNE}*(k1*(10*distance(d1, d2) - r1) + k2*(10*distance(d2, d3) - r2))*(angle(d1, d2, d3) - theta0)"
    )
    for name in ("k1", "k2", "r1", "r2", "theta0"):
        force.addPerDonorParameter(name)
    for i, j, k in _angle_atoms(mol, mmff, linear=False):
        coupling = mmff.GetMMFFStretchBendParams(mol, i, j, k)
        if coupling is None:  # inside three-membered rings
            continue
        lengths = [mmff.GetMMFFBondStretchParams(mol, j, end)[2] for end in (i, k)]
        theta0 = np.deg2rad(mmff.GetMMFFAngleBendParams(mol, i, j, k)[2])
        force.addDonor(i, j, k, [*coupling[1:], *lengths, theta0])
    force.addAcceptor(0, -1, -1)
    return force


def _out_of_plane(mol: Chem.Mol, mmff: MMFFMolProperties, system: openmm.System) -> openmm.Force:
    """Squared Wilson angles: of each bond j-end of a centre j with three neighbours to the plane i-j-k of the others.

    Such an angle is 90 degrees minus that between j-end and the plane's normal. A massless site of `system` on the
    normal makes it an ordinary angle, whose derivatives need not be compiled from Cartesian coordinates (slow).
    """
    force = openmm.CustomAngleForce(f"{_MILLIDYNE}/2*k*(theta - {np.pi / 2})^2")
    force.addPerAngleParameter("k")
    for centre in mol.GetAtoms():
        if centre.GetDegree() != 3:
            continue
        j = centre.GetIdx()
        neighbours = [atom.GetIdx() for atom in centre.GetNeighbors()]
        for out in range(3):
            end, i, k = np.roll(neighbours, out).tolist()
            stiffness = mmff.GetMMFFOopBendParams(mol, i, j, k, end)
            if stiffness:
                site = system.addParticle(0.0)
                # At j + 10/nm (r_ji x r_jk): some 0.2 nm from the centre.
                system.setVirtualSite(site, openmm.OutOfPlaneSite(j, i, k, 0.0, 0.0, 10.0))
                force.addAngle(site, j, end, [stiffness])
    return force


def _torsions(mol: Chem.Mol, mmff: MMFFMolProperties) -> openmm.Force:
    force = openmm.CustomTorsionForce(
        f"{KJ_PER_KCAL}/2*(v1*(1 + cos(theta)) + v2*(1 - cos(2*theta)) + v3*(1 + cos(3*theta)))"
    )
    for name in ("v1", "v2", "v3"):
        force.addPerTorsionParameter(name)
    for bond in mol.GetBonds():
        ends = bond.GetBeginAtom(), bond.GetEndAtom()
        if any(end.GetHybridization() not in _TWISTABLE for end in ends):
            continue
        j, k = (end.GetIdx() for end in ends)
        outer = [[atom.GetIdx() for atom in end.GetNeighbors()] for end in ends]
        for first, last in itertools.product(*outer):
            if first in (k, last) or last == j:
                continue
            barrier = mmff.GetMMFFTorsionParams(mol, first, j, k, last)
            if barrier is not None and any(barrier[1:]):
                force.addTorsion(first, j, k, last, barrier[1:])
    return force


def _pairs(mol: Chem.Mol, mmff: MMFFMolProperties) -> openmm.Force:
    """Buffered 14-7 van der Waals and buffered Coulomb energies of all atoms three or more bonds apart."""
    force = openmm.CustomBondForce(
        f"{KJ_PER_KCAL}*epsilon*(1.07/(x + 0.07))^7*(1.12/(x^7 + 0.12) - 2) + {_COULOMB}*qq/(10*r + 0.05); x = 10*r/r0"
    )
    for name in ("r0", "epsilon", "qq"):
        force.addPerBondParameter(name)
    charges = [mmff.GetMMFFPartialCharge(i) for i in range(mol.GetNumAtoms())]
    bonds_apart = Chem.GetDistanceMatrix(mol)
    for i, j in np.argwhere(np.triu(bonds_apart) >= 3).tolist():
        screening = 0.75 if bonds_apart[i, j] == 3 else 1.0
        r0, epsilon = mmff.GetMMFFVdWParams(i, j)[2:]
        force.addBond(i, j, [r0, epsilon, screening * charges[i] * charges[j]])
    return force


def _angle_atoms(mol: Chem.Mol, mmff: MMFFMolProperties, linear: bool) -> Iterator[tuple[int, int, int]]:
    """Atoms (i, j, k) of every angle at a linear centre j, or of every other angle."""
    for centre in mol.GetAtoms():
        j = centre.GetIdx()
        if (mmff.GetMMFFAtomType(j) in _LINEAR_TYPES) is linear:
            for i, k in itertools.combinations([atom.GetIdx() for atom in centre.GetNeighbors()], 2):
                yield i, j, k
