"""What samples are compared with: statistics of a dataset's training molecules, made once and kept in a file."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rdkit import Chem, rdBase

from latent3d.base.errors import UserError
from latent3d.base.files import hash_file
from latent3d.base.workers import Workers
from latent3d.data.molecules.bonds import with_smiles_bonds
from latent3d.data.molecules.molecules import ELEMENTS, Molecules
from latent3d.data.molecules.parquet import read_metadata
from latent3d.data.molecules.rdkit import canonical_smiles, sanitised
from latent3d.data.molecules.read import has_coordinates, read_molecules
from latent3d.data.molecules.status import sample_status
from latent3d.evaluation.analysis.population import analyse_population
from latent3d.evaluation.analysis.profile import SET_SIZE, Profile
from latent3d.evaluation.distribution import chemnet
from latent3d.evaluation.validity.valences import ValenceTable


@dataclass(frozen=True)
class Reference:
    """Statistics of the training molecules of a dataset.

    Attributes:
        sha256: of the dataset's file.
        description: sizes of the splits, and what the dataset says of its origin.
        elements: atomic numbers that occur in any split.
        smiles: canonical SMILES of all training molecules.
        held_out_smiles: those of the other molecules of the dataset.
        legacy_smiles: their SMILES as the EDM rule perceives them.
        valences: allowed valences of atoms.
        profile: of the training molecules, with `smiles` and fingerprints of at most SET_SIZE of them.
        chemnet: mean [512] and covariance [512, 512] of ChemNet's activations of those SMILES; None if not made.
        chemnet_test: the same of at most SET_SIZE test molecules; None if not made, or without test molecules.
        floor: metrics of the test molecules as samples: what real molecules score.
        floor_molecules: their number, on which values of sets depend.
    """

    sha256: str
    description: str
    elements: frozenset[int]
    smiles: frozenset[str]
    legacy_smiles: frozenset[str]
    valences: ValenceTable
    profile: Profile
    chemnet: tuple[np.ndarray, np.ndarray] | None = None
    chemnet_test: tuple[np.ndarray, np.ndarray] | None = None
    held_out_smiles: frozenset[str] = frozenset()
    floor: dict[str, float | None] = field(default_factory=dict)
    floor_molecules: int = 0


def make_reference(molecules: Molecules, file: Path, workers: Workers, with_fcd: bool) -> Reference:
    """Statistics of the molecules of a file (see `read_reference_molecules`), without the floor.

    Raises:
        UserError: no training molecule is valid.
    """
    train = molecules.split("train")
    status = sample_status(train)
    elements = frozenset(np.unique(molecules.atomic_numbers).tolist())
    print(
        f"reference: statistics of the {len(train):,} training molecules of {file}, made once: about "
        f"{len(train) * 0.006:.0f} s on one core",
        file=sys.stderr,
    )
    population = analyse_population(train, status, elements, workers, "reference: parts", folds=1)
    (profile,) = population.folds
    if not len(profile):
        raise UserError(f"{file}: none of its {len(train)} training molecules is valid, so nothing can be compared.")
    valid = (population.table["strict"] == "ok").to_numpy()
    # Bonds perceived from coordinates count only where there are no others.
    own = valid & train.bonds_known if (valid & train.bonds_known).any() else valid
    smiles = frozenset(profile.smiles) | _given_smiles(train, ~valid)
    profile = replace(profile, smiles=profile.smiles[:SET_SIZE], fingerprints=profile.fingerprints[:SET_SIZE])
    test = np.random.default_rng(0).permutation(sorted(_smiles(molecules.split("test"))))[:SET_SIZE].tolist()
    return Reference(
        hash_file(file),
        describe_dataset(molecules, file),
        elements,
        smiles,
        frozenset(set(population.table["legacy_smiles"]) - {None}),
        ValenceTable.collect(population.valences[np.repeat(own, np.diff(population.atom_offsets))]),
        profile,
        _chemnet(profile.smiles) if with_fcd else None,
        _chemnet(test) if with_fcd else None,
        _smiles(molecules.take(np.flatnonzero(molecules.table["split"] != "train"))),
    )


def _chemnet(smiles: list[str]) -> tuple[np.ndarray, np.ndarray] | None:
    return chemnet.statistics(chemnet.activations(smiles, "reference: ChemNet"))


def _smiles(held_out: Molecules) -> frozenset[str]:
    """Canonical SMILES of molecules: by their bonds, else by their column `smiles`."""
    with rdBase.BlockLogs():
        mols = [None if molecule.bonds is None else sanitised(molecule) for molecule in held_out]
        without = np.array([mol is None for mol in mols], bool)
        return frozenset(canonical_smiles(mol) for mol in mols if mol is not None) | _given_smiles(held_out, without)


def _given_smiles(molecules: Molecules, rows: np.ndarray) -> set[str]:
    """Canonical SMILES of the column `smiles` in `rows` [M]: of molecules whose graph is not to be had otherwise."""
    if "smiles" not in molecules.table:
        return set()
    with rdBase.BlockLogs():
        mols = [Chem.MolFromSmiles(text) for text in molecules.table["smiles"][rows] if isinstance(text, str)]
    return {canonical_smiles(mol) for mol in mols if mol is not None}


def read_reference_molecules(file: Path, processes: int) -> Molecules:
    """The molecules of a file; without a column `split`, all of them are training molecules.

    Bonds that the file lacks come from its column `smiles` if it has one; what is left is perceived later.

    Raises:
        UserError: the file is missing or unreadable, or has no training molecules.
    """
    if not has_coordinates(file):
        raise UserError(f"{file} has no coordinates; a reference needs them.")
    molecules = read_molecules(file)
    if "split" not in molecules.table:
        molecules = molecules.with_columns(split="train")
    if not (molecules.table["split"] == "train").any():
        raise UserError(f"{file} has no molecules whose column 'split' says train, so nothing can be compared with.")
    if "smiles" in molecules.table and not molecules.bonds_known.all():
        molecules = with_smiles_bonds(molecules, processes)
    return molecules


def describe_dataset(molecules: Molecules, file: Path) -> str:
    """`3233 train, 404 valid, 404 test; H C N O`, and F-free where the dataset lacks QM9's fluorine."""
    counts = molecules.table["split"].value_counts()
    sizes = ", ".join(f"{counts[name]} {name}" for name in ("train", "valid", "test") if name in counts)
    elements = " ".join(ELEMENTS[number] for number in np.unique(molecules.atomic_numbers))
    origin = read_metadata(file).get("origin", read_metadata(file)) if file.suffix == ".parquet" else {}
    return f"{sizes}; {elements}" + ("; F-free" if origin.get("fluorine_free") else "")
