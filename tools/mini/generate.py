"""The embedded dataset `mini`: enumerated small organic molecules with GFN2-xTB geometries and properties.

Everything follows from the code and `SEED`: enumeration, stratified draw, one stereoisomer per constitution, ETKDG,
MMFF94, GFN2-xTB minimum, properties, split. `resources/README.md` describes the file.
"""

import hashlib
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rdkit import Chem, RDLogger
from rdkit.Chem import AllChem
from rdkit.Chem.EnumerateStereoisomers import EnumerateStereoisomers

from latent3d.base.chunks import FinishedChunks
from latent3d.base.errors import Failed
from latent3d.base.progress import duration
from latent3d.base.run import versions
from latent3d.base.workers import Outcome, Workers
from latent3d.calculations.gfn2.singlepoint import Gfn2
from latent3d.data.molecules.molecules import Molecule, Molecules, from_list
from latent3d.data.molecules.parquet import write_parquet
from latent3d.data.molecules.perception import bonded_pairs
from latent3d.data.molecules.rdkit import canonical_smiles, from_rdkit, to_rdkit
from mini.enumeration import enumerate_molecules
from mini.optimise import Optimised, optimise
from mini.vibrations import heat_capacity, hessian, normal_modes

SEED = 0
DRAWN = {6: 1100, 7: 2500}
"""Molecules drawn by number of heavy atoms; all molecules of fewer heavy atoms are kept."""
SHARES = {"aromatic": 0.30, "stereocentre": 0.38, "other": 0.32}
"""Shares of the draw. What a class cannot fill passes on to the next."""
FLUORINE = 0.15
"""Share of each class drawn from its molecules with fluorine."""
UNITS = {"dipole": "debye", "homo": "eV", "lumo": "eV", "gap": "eV", "energy": "hartree", "heat_capacity": "cal/mol/K"}
_DECIMALS = {"dipole": 4, "homo": 4, "lumo": 4, "gap": 4, "energy": 7, "heat_capacity": 3}
_TIME_LIMIT = 120.0
_SECONDS_PER_MOLECULE = 0.5
_DISPLACEMENT = 0.5
"""Angstrom along an imaginary mode, to leave a saddle point: a methyl group turns by about 17 degrees."""
_FLAT = 50.0
"""An imaginary mode below this (cm^-1) that three optimisations keep is a nearly free rotor, not a saddle point."""


def make_mini(out: Path, processes: int, checkpoints: Path) -> None:
    """Generate the dataset from nothing and write it to `out`.

    Finished molecules are kept below `checkpoints`; an interrupted generation continues from there. Takes about
    half a second of one core per molecule.
    """
    print("mini: enumerating molecules of up to 7 heavy atoms (half a minute)", file=sys.stderr, flush=True)
    constitutions = draw(range(1, 8))
    settings = {"seed": SEED, "constitutions": constitutions, "versions": versions(["rdkit", "tblite"])}
    finished: FinishedChunks[dict[str, Any]] = FinishedChunks(checkpoints, "mini", settings)
    # In random order, so that the rate and the time left are honest from the start.
    order = np.random.default_rng(SEED).permutation(len(constitutions)).tolist()
    waiting = [i for i in order if str(i) not in finished]
    seconds = len(waiting) * _SECONDS_PER_MOLECULE / processes
    print(
        f"mini: {len(waiting)} of {len(constitutions)} molecules to compute, about {duration(seconds)} on {processes} "
        f"free cores; finished ones are kept in {finished.folder}",
        file=sys.stderr,
        flush=True,
    )

    def keep(task: int, outcome: Outcome) -> None:
        i = waiting[task]
        finished.save(str(i), {"constitution": constitutions[i], "status": outcome.status, "row": outcome.value})

    with Workers(make_row, processes, _TIME_LIMIT) as workers:
        workers.map([constitutions[i] for i in waiting], "mini", keep)
    rows = [finished.load(str(i)) for i in order]
    write_parquet(out, assemble(rows), extra_metadata=_metadata(rows))
    print(f"mini: {dict(Counter(row['status'] for row in rows))}", file=sys.stderr)


def draw(sizes: Iterable[int]) -> list[str]:
    """Constitutions (canonical SMILES without stereo) of the dataset: everything small, a stratified draw beyond."""
    rng = np.random.default_rng(SEED)
    drawn: list[str] = []
    for size in sizes:
        molecules = enumerate_molecules(size)
        drawn += _stratified(molecules, DRAWN[size], rng) if size in DRAWN else molecules
    return drawn


def _stratified(molecules: list[str], count: int, rng: np.random.Generator) -> list[str]:
    classes: dict[str, list[str]] = {name: [] for name in SHARES}
    for smiles in molecules:
        classes[_class(smiles)].append(smiles)
    chosen: list[str] = []
    quota = 0
    for name, share in SHARES.items():
        quota += round(share * count)
        with_fluorine = [smiles for smiles in classes[name] if "F" in smiles]
        without = [smiles for smiles in classes[name] if "F" not in smiles]
        n_without = min(len(without), round((1 - FLUORINE) * quota))
        n_with = min(len(with_fluorine), quota - n_without)
        chosen += list(rng.choice(without, n_without, replace=False))
        chosen += list(rng.choice(with_fluorine, n_with, replace=False))
        quota -= n_without + n_with
    return sorted(str(smiles) for smiles in chosen)


def _class(smiles: str) -> str:
    mol = Chem.MolFromSmiles(smiles)
    if any(atom.GetIsAromatic() for atom in mol.GetAtoms()):
        return "aromatic"
    centres = Chem.FindMolChiralCenters(mol, includeUnassigned=True, useLegacyImplementation=False)
    return "stereocentre" if centres else "other"


def make_row(constitution: str) -> dict[str, Any]:
    """Geometry and properties of one constitution, as plain JSON values.

    Raises:
        Failed: `embed_failed`, `scf_failed`, `opt_unconverged` (also a stationary point that is no minimum), or
            `topology_changed` (bonds or stereochemistry).
    """
    RDLogger.DisableLog("rdApp.*")
    smiles, embedded = embed_one_stereoisomer(constitution)
    numbers = np.array([atom.GetAtomicNum() for atom in embedded.GetAtoms()])
    calculator = Gfn2(numbers, embedded.GetConformer().GetPositions())
    minimum, capacity = _minimum(calculator, numbers, embedded.GetConformer().GetPositions())
    positions = (minimum.positions - minimum.positions.mean(0)).astype(np.float32)
    graph = from_rdkit(embedded)
    molecule = Molecule(graph.atomic_numbers, positions, graph.bonds, graph.bond_orders, graph.formal_charges)
    if bonded_pairs(molecule) != {tuple(sorted(pair)) for pair in graph.bonds.tolist()}:
        raise Failed("topology_changed", "bonds")
    if smiles_of_geometry(molecule) != smiles:
        raise Failed("topology_changed", "stereochemistry")
    point = minimum.single_point
    properties = {
        "dipole": point.dipole,
        "homo": point.homo,
        "lumo": point.lumo,
        "gap": point.gap,
        "energy": point.energy,
        "heat_capacity": capacity,
    }
    return {
        "smiles": smiles,
        "atomic_numbers": graph.atomic_numbers.tolist(),
        "positions": positions.tolist(),
        "bonds": graph.bonds.tolist(),
        "bond_orders": graph.bond_orders.tolist(),
        "formal_charges": graph.formal_charges.tolist(),
        **{name: round(value, _DECIMALS[name]) for name, value in properties.items()},
    }


def embed_one_stereoisomer(constitution: str) -> tuple[str, Chem.Mol]:
    """A random stereoisomer that can be embedded: its canonical SMILES, and RDKit's molecule after ETKDG and MMFF94.

    The choice and the embedding depend on the constitution and SEED alone.

    Raises:
        Failed: `embed_failed`.
    """
    seed = int.from_bytes(hashlib.sha256(f"{SEED} {constitution}".encode()).digest()[:4], "big") >> 1
    isomers = sorted({_smiles(mol) for mol in EnumerateStereoisomers(Chem.MolFromSmiles(constitution))})
    for index in np.random.default_rng(seed).permutation(len(isomers)):
        mol = Chem.AddHs(Chem.MolFromSmiles(isomers[index]))
        parameters = AllChem.ETKDGv3()
        parameters.randomSeed = seed
        if AllChem.EmbedMolecule(mol, parameters) == 0:
            if AllChem.MMFFHasAllMoleculeParams(mol):
                AllChem.MMFFOptimizeMolecule(mol, maxIters=1000)
            return isomers[index], mol
    raise Failed("embed_failed")


def smiles_of_geometry(molecule: Molecule) -> str:
    """Canonical SMILES with the stereochemistry that the coordinates have."""
    mol = to_rdkit(molecule)
    Chem.SanitizeMol(mol)
    Chem.AssignStereochemistryFrom3D(mol)
    return _smiles(Chem.RemoveHs(mol))


def _minimum(calculator: Gfn2, numbers: np.ndarray, positions: np.ndarray) -> tuple[Optimised, float]:
    """A true minimum near `positions` and its heat capacity; a saddle point is left along its imaginary mode."""
    for largest_force in (1e-4, 2e-5, 2e-5):
        minimum = optimise(calculator, positions, largest_force)
        wavenumbers, modes = normal_modes(hessian(calculator, minimum.positions), numbers, minimum.positions)
        if wavenumbers[0] > 0:
            return minimum, heat_capacity(wavenumbers, minimum.positions)
        positions = minimum.positions + _DISPLACEMENT * modes[0]
    if wavenumbers[0] > -_FLAT:
        # The harmonic heat capacity does not change below 50 cm^-1, so that the sign of the mode is of no account.
        return minimum, heat_capacity(np.abs(wavenumbers), minimum.positions)
    raise Failed("opt_unconverged", "imaginary mode")


def assemble(rows: Iterable[dict[str, Any]]) -> Molecules:
    """The dataset from finished rows: sorted by size and constitution, numbered, split 80/10/10 by a seeded draw."""
    kept = [row for row in rows if row["status"] == "ok"]
    kept.sort(key=lambda row: (sum(z > 1 for z in row["row"]["atomic_numbers"]), row["constitution"]))
    table = pd.DataFrame([{name: row["row"][name] for name in ("smiles", *UNITS)} for row in kept])
    table.insert(0, "id", [f"mini-{i:06d}" for i in range(len(kept))])
    table.insert(2, "split", _splits(len(kept)))
    return from_list(map(_molecule, (row["row"] for row in kept)), table, UNITS)


def _splits(count: int) -> np.ndarray:
    """[count] train, valid or test. Constitutions are unique, so no split shares one with another."""
    splits = np.full(count, "train", dtype=object)
    order = np.random.default_rng(SEED).permutation(count)
    tenth = count // 10
    splits[order[:tenth]] = "test"
    splits[order[tenth : 2 * tenth]] = "valid"
    return splits


def _molecule(row: dict[str, Any]) -> Molecule:
    return Molecule(
        np.array(row["atomic_numbers"], np.uint8),
        np.array(row["positions"], np.float32),
        np.array(row["bonds"], np.int16).reshape(-1, 2),
        np.array(row["bond_orders"], np.uint8),
        np.array(row["formal_charges"], np.int8),
    )


def _metadata(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    counts = Counter(row["status"] for row in rows)
    return {
        "level_of_theory": "GFN2-xTB geometry and properties (tblite)",
        "left_out": {status: count for status, count in sorted(counts.items()) if status != "ok"},
        "versions": versions(["rdkit", "tblite", "scipy"]),
    }


def _smiles(mol: Chem.Mol) -> str:
    """Canonical SMILES with stereochemistry, but for nitrogen: it inverts, or its ring fixes it."""
    mol = Chem.Mol(mol)
    for atom in mol.GetAtoms():
        if atom.GetAtomicNum() == 7:
            atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    # Parsed again, so that equal stereochemistry from a graph and from a geometry ends in equal strings.
    return canonical_smiles(Chem.MolFromSmiles(Chem.MolToSmiles(mol)), stereo=True)
