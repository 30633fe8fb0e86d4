"""What is measured of a set of molecules, chunk by chunk: additive, so that a million molecules need little memory."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase

from latent3d.data.molecules.molecules import Molecule, Molecules, from_list
from latent3d.data.molecules.status import USABLE_STATUSES
from latent3d.evaluation.distribution import fragments as parts
from latent3d.evaluation.distribution.descriptors import descriptors
from latent3d.evaluation.distribution.set_similarity import FINGERPRINT_BYTES, fingerprint
from latent3d.evaluation.geometry import histograms as geometry
from latent3d.evaluation.geometry.histograms import GeometryHistogram
from latent3d.evaluation.registry import DESCRIPTORS
from latent3d.evaluation.validity import edm_protocol
from latent3d.evaluation.validity.strict import strict_validity
from latent3d.evaluation.validity.valences import bond_kinds, valence_codes

SET_SIZE = 10_000
"""Molecules that enter FCD and nearest neighbours, on both sides: such values depend on the number."""

PARTS = ("fragments", "scaffolds", "ring_systems", "functional_groups")


@dataclass(frozen=True)
class Profile:
    """What the strictly valid molecules of a set are made of, and the geometry of all that have a sound graph.

    Attributes:
        smiles: [V] canonical SMILES of the strictly valid (fewer in a `limited` profile).
        descriptors: [V, 5], in the order of registry.DESCRIPTORS.
        heavy_atoms: [V] int64.
        fingerprints: [V, 256] uint8, 2048 bits each.
        parts: how often each fragment, scaffold, ring system and functional group occurs, by kind (PARTS).
        geometry: bond lengths, angles and torsions of the molecules whose graph sanitises.
    """

    smiles: list[str]
    descriptors: np.ndarray
    heavy_atoms: np.ndarray
    fingerprints: np.ndarray
    parts: dict[str, Counter[str]]
    geometry: GeometryHistogram

    def __len__(self) -> int:
        return len(self.descriptors)

    def limited(self, size: int) -> "Profile":
        """The same with at most `size` SMILES and fingerprints: the first, which are a random part."""
        return replace(self, smiles=self.smiles[:size], fingerprints=self.fingerprints[:size])


@dataclass(frozen=True)
class Analysis:
    """A chunk of M molecules.

    Attributes:
        table: M rows: `strict` (status), `smiles`, `graph_valid`, `connected`, `bonds_perceived`, `atoms`, and the
            legacy verdicts `legacy_stable_atoms`, `legacy_stable`, `legacy_smiles`, `legacy_geom_valid`,
            `legacy_foreign`.
        valences: [A] int64, the valence code of every atom (see `stability`); of all atoms of the chunk, in order.
        profile: of the same molecules.
    """

    table: pd.DataFrame
    valences: np.ndarray
    profile: Profile


@dataclass(frozen=True)
class Chunk:
    """Molecules to be analysed by one task.

    Attributes:
        molecules: M molecules; their table is not looked at.
        status: [M] status of each sample (see `strict.USABLE_STATUSES`).
        elements: atomic numbers that are not foreign.
        flat: True for molecules without coordinates (SMILES): nothing that needs them is judged.
    """

    molecules: Molecules
    status: Sequence[str]
    elements: frozenset[int]
    flat: bool = False


def analyse(chunk: Chunk) -> Analysis:
    """Everything about a chunk that needs no other molecule. Never raises on its input."""
    molecules, n = chunk.molecules, len(chunk.molecules)
    usable = np.isin(np.array(chunk.status, dtype=object), USABLE_STATUSES)
    strict = strict_validity(molecules, chunk.elements, chunk.status, coordinates=not chunk.flat)
    old = edm_protocol.judge(molecules, usable)
    graphs, kinds = _graphs(strict.graphs, strict.mols)
    placed = ~molecules.any_atom(~np.isfinite(molecules.positions).all(axis=1))
    table = pd.DataFrame(
        {
            "strict": pd.Series(strict.status, dtype=object),
            "smiles": pd.Series(strict.smiles, dtype=object),
            "graph_valid": np.array(strict.sanitises, bool),
            "connected": np.array(strict.connected, bool),
            "bonds_perceived": ~molecules.bonds_known,
            "atoms": molecules.atom_counts,
            "legacy_stable_atoms": old.stable_atoms,
            "legacy_stable": old.stable,
            "legacy_smiles": pd.Series(old.smiles, dtype=object),
            "legacy_geom_valid": old.geom_valid,
            "legacy_foreign": old.foreign,
        },
        index=range(n),
    )
    valid = [smiles for smiles in strict.smiles if smiles is not None]
    profile = describe(valid, geometry.measure(graphs, kinds, placed & np.array(strict.sanitises, bool)))
    return Analysis(table, valence_codes(graphs, kinds), profile)


def describe(smiles: list[str], geometries: GeometryHistogram) -> Profile:
    """The profile of strictly valid molecules, given by their canonical SMILES.

    Made of the SMILES and not of the samples' own graphs: some descriptors (SA of cages) depend on the order of atoms,
    and with implicit hydrogens forbidden a scaffold that loses its neighbour would become a radical.
    """
    with rdBase.BlockLogs():
        mols = [Chem.MolFromSmiles(text) for text in smiles]
        return Profile(
            smiles,
            np.array([descriptors(mol) for mol in mols], float).reshape(-1, len(DESCRIPTORS)),
            np.array([mol.GetNumHeavyAtoms() for mol in mols], np.int64),
            np.array([fingerprint(mol) for mol in mols], np.uint8).reshape(-1, FINGERPRINT_BYTES),
            {
                "fragments": Counter(item for mol in mols for item in parts.fragments(mol)),
                "scaffolds": Counter(parts.scaffold(mol) for mol in mols),
                "ring_systems": Counter(item for mol in mols for item in parts.ring_systems(mol)),
                "functional_groups": Counter(item for mol in mols for item in parts.functional_groups(mol)),
            },
            geometries,
        )


def merge(profiles: Iterable[Profile]) -> Profile:
    """One profile of all molecules, in order."""
    profiles = list(profiles)
    return Profile(
        [smiles for profile in profiles for smiles in profile.smiles],
        np.concatenate([np.zeros((0, len(DESCRIPTORS))), *(profile.descriptors for profile in profiles)]),
        np.concatenate([np.zeros(0, np.int64), *(profile.heavy_atoms for profile in profiles)]),
        np.concatenate([np.zeros((0, FINGERPRINT_BYTES), np.uint8), *(profile.fingerprints for profile in profiles)]),
        {kind: _sum(profile.parts[kind] for profile in profiles) for kind in PARTS},
        geometry.merge(profile.geometry for profile in profiles),
    )


def _sum(counters: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return total


def _graphs(graphs: Sequence[Molecule], mols: Sequence[Chem.Mol | None]) -> tuple[Molecules, np.ndarray]:
    """The graphs in one, and the kind of each bond."""
    kinds = [bond_kinds(graph, mol) for graph, mol in zip(graphs, mols, strict=True) if graph.bonds is not None]
    return from_list(graphs), np.concatenate([np.zeros(0, np.uint8), *kinds])
