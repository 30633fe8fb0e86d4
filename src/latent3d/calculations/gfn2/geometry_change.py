"""What a relaxation has done to the geometry of a molecule."""

from dataclasses import dataclass, replace

import numpy as np

from latent3d.data.molecules.alignment import kabsch_rmsd
from latent3d.data.molecules.contacts import BondGraph, close_pairs
from latent3d.data.molecules.internal_coordinates import internal_coordinates
from latent3d.data.molecules.molecules import Molecule, from_list


@dataclass(frozen=True)
class GeometryChange:
    """Differences between two geometries of the same atoms; NaN where a molecule has nothing of the kind.

    Attributes:
        rmsd_heavy: RMSD of the heavy atoms after the best proper rotation, angstrom. Atoms keep their labels.
        rmsd_all: the same of all atoms.
        bond_change: mean absolute change of the bond lengths, angstrom.
        angle_change: of the bond angles, degrees.
        torsion_change: of the torsions, the shorter way round, degrees; without those of straight angles.
        graph_survived: no bond broken and none formed, by `BondGraph`.
    """

    rmsd_heavy: float
    rmsd_all: float
    bond_change: float
    angle_change: float
    torsion_change: float
    graph_survived: bool


def geometry_change(molecule: Molecule, positions: np.ndarray) -> GeometryChange:
    """From the molecule's geometry to positions [N, 3], angstrom.

    The bonds are the molecule's own; where they are unknown, the `close_pairs` of its geometry.
    """
    graph = molecule if molecule.bonds is not None else _with_close_pairs(molecule)
    heavy = molecule.atomic_numbers > 1
    before = molecule.positions.astype(float)
    changes = _internal_changes(graph, positions)
    return GeometryChange(
        rmsd_heavy=float(kabsch_rmsd(positions[None, heavy], before[heavy])[0]) if heavy.any() else np.nan,
        rmsd_all=float(kabsch_rmsd(positions[None], before)[0]),
        bond_change=_mean(changes["bond_length"]),
        angle_change=_mean(changes["bond_angle"]),
        torsion_change=_mean(np.minimum(changes["torsion"], 360 - changes["torsion"])),
        graph_survived=BondGraph(graph.atomic_numbers, graph.bonds).failure(positions) is None,
    )


def _with_close_pairs(molecule: Molecule) -> Molecule:
    pairs = close_pairs(molecule.atomic_numbers, molecule.positions.astype(float)).astype(np.int16)
    return replace(
        molecule,
        bonds=pairs,
        bond_orders=np.ones(len(pairs), np.uint8),
        formal_charges=np.zeros(len(molecule), np.int8),
    )


def _internal_changes(graph: Molecule, positions: np.ndarray) -> dict[str, np.ndarray]:
    """Absolute differences of bond lengths, bond angles and torsions, each [K]; NaN where not defined."""
    both = from_list([graph, replace(graph, positions=positions)])
    values = {kind: np.zeros(0) for kind in ("bond_length", "bond_angle", "torsion")}
    # Types do not matter here: all bonds count as single. A molecule's values come in the order of its bonds.
    for block in internal_coordinates(both, np.ones(len(both.bonds), np.uint8), np.ones(2, bool)):
        values = {kind: np.concatenate([values[kind], found]) for kind, (_, found) in block.items()}
    return {kind: np.abs(np.subtract(*found.reshape(2, -1))) for kind, found in values.items()}


def _mean(changes: np.ndarray) -> float:
    defined = changes[~np.isnan(changes)]
    return float(defined.mean()) if len(defined) else np.nan
