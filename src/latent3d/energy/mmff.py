"""MMFF94 relaxation (Halgren 1996) with RDKit, at most 200 iterations: what the papers call MMFF post-processing."""

import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem import AllChem

from latent3d.errors import UserError
from latent3d.failed import Failed
from latent3d.molecules.molecules import Molecule, Molecules, from_list
from latent3d.molecules.parquet import read_parquet, write_parquet
from latent3d.molecules.perception import MAX_ATOMS, perceive_bonds
from latent3d.molecules.rdkit import sanitised
from latent3d.run import versions, write_run

MAX_ITERATIONS = 200


def relax_file(raw: Path) -> Path:
    """Relax `x/raw/samples.parquet` into `x/mmff/samples.parquet`, with run.json beside it; return the new file.

    Raises:
        UserError: the file is not in a folder `raw`, or is not a samples file.
    """
    if raw.parent.name != "raw":
        raise UserError(f"{raw} is not in a folder named raw; relax reads .../raw/samples.parquet.")
    samples = read_parquet(raw)
    if "status" not in samples.table:
        raise UserError(f"{raw} has no column 'status', so it is not a samples file. Make it with latent3d sample.")
    began = time.monotonic()
    print(f"relax: {len(samples)} molecules, about {len(samples) * 0.006:.0f} s", file=sys.stderr)
    relaxed = relax(samples)
    out = raw.parent.parent / "mmff" / raw.name
    write_parquet(out, relaxed)
    seconds = time.monotonic() - began
    counts = Counter(relaxed.table["status"].tolist())
    write_run(
        out.with_name("run.json"),
        seconds,
        device="cpu",
        molecules=len(samples),
        statuses=dict(counts),
        versions=versions(["rdkit"]),
    )
    print(f"relax: {out}: {counts['ok']} of {len(samples)} converged in {seconds:.1f} s", file=sys.stderr)
    return out


def relax(samples: Molecules) -> Molecules:
    """The same samples at MMFF94 minima, `status` replaced where MMFF failed.

    `ff_unconverged` keeps the geometry after 200 iterations; `ff_untyped`, `nan_coordinates`, `too_large` and
    `sanitise_failed` (no graph that MMFF could type) keep the raw one. Samples that had failed stay as they are.
    Graphs are never changed; where bonds are unknown they are perceived for the force field only.
    """
    molecules, status = [], []
    with rdBase.BlockLogs():
        for molecule, before in zip(samples, samples.table["status"], strict=True):
            after = before
            if before == "ok":
                molecule, after = relax_molecule(molecule)
            molecules.append(molecule)
            status.append(after)
    return from_list(molecules, samples.table.assign(status=pd.Series(status, dtype=object)), samples.units)


def relax_molecule(molecule: Molecule) -> tuple[Molecule, str]:
    """One molecule at its MMFF94 minimum and the status (see `relax`)."""
    try:
        mol = force_field_graph(molecule)
    except Failed as failed:
        return molecule, failed.reason
    if not AllChem.MMFFHasAllMoleculeParams(mol):
        return molecule, "ff_untyped"
    try:
        code = AllChem.MMFFOptimizeMolecule(mol, mmffVariant="MMFF94", maxIters=MAX_ITERATIONS)
    except (ValueError, RuntimeError):
        # Coinciding atoms: the energy is not a number.
        return molecule, "ff_unconverged"
    positions = mol.GetConformer().GetPositions().astype(np.float32)
    if not np.isfinite(positions).all():
        return molecule, "ff_unconverged"
    return replace(molecule, positions=positions), {0: "ok", 1: "ff_unconverged"}.get(code, "ff_untyped")


def force_field_graph(molecule: Molecule) -> Chem.Mol:
    """The sanitised RDKit molecule, with its conformer, that a force field can type; bonds perceived where unknown.

    Raises:
        Failed: `nan_coordinates`, `too_large`, `decode_failed` (no atoms), `sanitise_failed`, or a reason of
            `perceive_bonds`.
    """
    if not np.isfinite(molecule.positions).all():
        raise Failed("nan_coordinates")
    if len(molecule) > MAX_ATOMS:
        raise Failed("too_large")
    graph, reason = (molecule, "ok") if molecule.bonds is not None else perceive_bonds(molecule)
    if reason != "ok":
        raise Failed(reason)
    if not len(molecule):
        raise Failed("decode_failed")
    with rdBase.BlockLogs():
        mol = sanitised(graph)
    if mol is None:
        raise Failed("sanitise_failed")
    return mol
