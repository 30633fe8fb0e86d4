"""Strict validity (project choice): a closed-shell, neutral, single molecule with every hydrogen its own atom.

RDKit's sanitisation alone is not enough: it adds hydrogens silently, so that CH3, a bare carbon and C-C are "valid".
Implicit hydrogens are therefore forbidden (`molecules.rdkit.to_rdkit`) before it runs.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from rdkit import Chem, rdBase

from latent3d.data.molecules.molecules import ELEMENTS, Molecule, Molecules
from latent3d.data.molecules.perception import MAX_ATOMS, perceive_bonds
from latent3d.data.molecules.rdkit import canonical_smiles
from latent3d.data.molecules.status import USABLE_STATUSES
from latent3d.data.molecules.verdict import GraphVerdict, judge_graph
from latent3d.evaluation.analysis.pairs import close_pairs

MIN_DISTANCE = 0.5
"""Atoms closer than this, in angstrom, overlap."""


@dataclass(frozen=True)
class StrictValidity:
    """Verdict on each of M samples.

    Attributes:
        status: `ok` or the first reason found, in this order: the sample's own failure, `decode_failed` (no atoms),
            `nan_coordinates`, `foreign_element`, `too_large`, `atoms_overlap`, those of bond perception (where bonds
            are unknown), `sanitise_failed`, `radical`, `fragments`, `charged`, `odd_electrons`.
        smiles: canonical SMILES of the strictly valid, None for the others.
        graphs: the molecules with the bonds they are judged by, their own or perceived. Without bonds (None) are failed
            samples, those of no atoms or too many, of elements that do not exist, and where perception failed.
        mols: the graphs as RDKit sanitised them, None where it refused.
        sanitises: V, whether there is such a mol; coordinates and foreign elements do not matter to it.
        connected: V&C, whether that mol is one fragment.
    """

    status: list[str]
    smiles: list[str | None]
    graphs: list[Molecule]
    mols: list[Chem.Mol | None]
    sanitises: list[bool]
    connected: list[bool]


def strict_validity(
    samples: Molecules,
    elements: Collection[int],
    sample_status: Sequence[str] | None = None,
    coordinates: bool = True,
) -> StrictValidity:
    """Judge samples by their own graph, or, where bonds are unknown, by the one perceived from coordinates.

    Args:
        samples: M molecules.
        elements: atomic numbers of the reference dataset; any other element is foreign.
        sample_status: status of each sample; a failure (not in `USABLE_STATUSES`) is not valid and keeps its reason.
        coordinates: False for samples that have none (SMILES): those that are missing are then no fault.
    """
    sample_status = ["ok"] * len(samples) if sample_status is None else list(sample_status)
    faults, has_graph = _without_graphs(samples, elements, sample_status, coordinates)
    with rdBase.BlockLogs():
        judged = [
            _judge(molecule) if sound else (_without_bonds(molecule), GraphVerdict(fault))
            for molecule, sound, fault in zip(samples, has_graph, faults, strict=True)
        ]
        verdicts = [verdict for _, verdict in judged]
        status = [verdict.status if fault == "ok" else fault for verdict, fault in zip(verdicts, faults, strict=True)]
        return StrictValidity(
            status,
            [canonical_smiles(v.mol) if s == "ok" else None for v, s in zip(verdicts, status, strict=True)],
            [graph for graph, _ in judged],
            [verdict.mol for verdict in verdicts],
            [verdict.mol is not None for verdict in verdicts],
            [verdict.connected for verdict in verdicts],
        )


def _judge(molecule: Molecule) -> tuple[Molecule, GraphVerdict]:
    """The graph that a molecule (of at least one atom) has, else the perceived one; and its verdict."""
    if molecule.bonds is None:
        molecule, status = perceive_bonds(molecule)
        if status != "ok":
            return molecule, GraphVerdict(status)
    return molecule, judge_graph(molecule)


def _overlapping(molecules: Molecules) -> np.ndarray:
    """[M] bool: two atoms of the molecule are closer than MIN_DISTANCE."""
    overlap = np.zeros(len(molecules), bool)
    reach = np.full(len(molecules.atomic_numbers), MIN_DISTANCE)
    for first, _, distance in close_pairs(molecules, reach, MAX_ATOMS):
        overlap[molecules.molecule_of_atom[first[distance < MIN_DISTANCE]]] = True
    return overlap


def _without_bonds(molecule: Molecule) -> Molecule:
    return Molecule(molecule.atomic_numbers, molecule.positions)


def _without_graphs(
    samples: Molecules, elements: Collection[int], sample_status: list[str], coordinates: bool
) -> tuple[list[str], np.ndarray]:
    """The first fault of each sample that shows without its graph, else `ok`; and [M] bool, whether it can have one."""
    given = np.array(sample_status, dtype=object)
    usable = np.isin(given, USABLE_STATUSES)
    numbers, counts = samples.atomic_numbers, samples.atom_counts
    exists = (numbers > 0) & (numbers < len(ELEMENTS))
    foreign = samples.any_atom(~(exists & np.isin(numbers, list(elements))))
    undefined = samples.any_atom(~np.isfinite(samples.positions).all(axis=1)) & coordinates
    overlap = _overlapping(samples) & coordinates
    faults = np.select(
        [~usable, counts == 0, undefined, foreign, counts > MAX_ATOMS, overlap],
        [given, "decode_failed", "nan_coordinates", "foreign_element", "too_large", "atoms_overlap"],
        "ok",
    )
    # Perceiving bonds between atoms that overlap would take long and mean nothing.
    fits = (counts > 0) & (counts <= MAX_ATOMS) & ~samples.any_atom(~exists)
    return faults.tolist(), usable & fits & (samples.bonds_known | ~overlap)
