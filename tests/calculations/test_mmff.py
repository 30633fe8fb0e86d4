from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rdkit.Chem import AllChem

from latent3d.base.errors import UserError
from latent3d.base.files import read_json
from latent3d.calculations.mmff.relaxation import relax
from latent3d.commands.relax import relax_file
from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.parquet import read_parquet, write_parquet
from latent3d.data.molecules.rdkit import sanitised


def samples_of(molecules, status=None):
    table = pd.DataFrame({"sample_index": range(len(molecules)), "seed": 0, "status": status or "ok"})
    return from_list(molecules, table)


def mmff_energy(molecule):
    mol = sanitised(molecule)
    return AllChem.MMFFGetMoleculeForceField(mol, AllChem.MMFFGetMoleculeProperties(mol)).CalcEnergy()


def shaken(molecule, noise=0.1):
    move = np.random.default_rng(0).normal(0, noise, molecule.positions.shape)
    return replace(molecule, positions=(molecule.positions + move).astype(np.float32))


def test_relaxation_finds_the_minimum_again(from_smiles):
    minimum = [from_smiles(s) for s in ("CCO", "c1ccccc1", "CC(=O)O")]
    relaxed = relax(samples_of([shaken(m) for m in minimum]))
    assert relaxed.table["status"].tolist() == ["ok"] * 3
    for before, after in zip(minimum, relaxed, strict=True):
        assert mmff_energy(shaken(before)) > mmff_energy(before) + 5
        assert mmff_energy(after) == pytest.approx(mmff_energy(before), abs=0.01)
        np.testing.assert_array_equal(before.bonds, after.bonds)


def test_every_failure_stays_as_a_row(from_smiles):
    ethanol = from_smiles("CCO")
    undefined = replace(ethanol, positions=np.full_like(ethanol.positions, np.nan))
    empty = Molecule(np.zeros(0, np.uint8), np.zeros((0, 3), np.float32))
    no_parameters = replace(ethanol, atomic_numbers=np.where(ethanol.atomic_numbers == 8, 34, ethanol.atomic_numbers))
    broken = replace(ethanol, bond_orders=np.full_like(ethanol.bond_orders, 3))
    far = shaken(from_smiles("CCCCCCCCCO"), 3)
    coinciding = replace(ethanol, positions=np.zeros_like(ethanol.positions))
    molecules = [ethanol, undefined, empty, no_parameters, broken, far, coinciding, ethanol, empty]
    samples = samples_of(molecules, ["ok"] * 7 + ["embed_failed", "decode_failed"])
    relaxed = relax(samples)
    assert relaxed.table["status"].tolist()[:6] == [
        "ok", "nan_coordinates", "decode_failed", "ff_untyped", "sanitise_failed", "ff_unconverged"
    ]  # fmt: skip
    assert relaxed.table["status"].tolist()[7:] == ["embed_failed", "decode_failed"]
    assert relaxed.table["sample_index"].tolist() == list(range(9))
    # Untyped, broken and failed samples keep their geometry; an unconverged one keeps what 200 iterations gave.
    for i in (3, 4, 7):
        np.testing.assert_array_equal(relaxed[i].positions, molecules[i].positions)
    assert not np.array_equal(relaxed[5].positions, far.positions)
    assert np.isfinite(relaxed[6].positions).all()


def test_bonds_are_perceived_for_the_force_field_only(from_smiles):
    ethanol = shaken(from_smiles("CCO"), 0.05)
    bare = Molecule(ethanol.atomic_numbers, ethanol.positions)
    relaxed = relax(samples_of([bare, ethanol]))
    assert relaxed.table["status"].tolist() == ["ok", "ok"]
    assert relaxed.bonds_known.tolist() == [False, True]
    assert mmff_energy(replace(ethanol, positions=relaxed[0].positions)) == pytest.approx(
        mmff_energy(relaxed[1]), abs=0.01
    )


def test_files(from_smiles, tmp_path):
    raw = tmp_path / "sample0" / "raw" / "samples.parquet"
    write_parquet(raw, samples_of([shaken(from_smiles(s)) for s in ("CCO", "C=C")]))
    out = relax_file(raw)
    assert out == tmp_path / "sample0" / "mmff" / "samples.parquet"
    assert read_parquet(out).table["status"].tolist() == ["ok", "ok"]
    assert read_json(out.with_name("run.json"))["statuses"] == {"ok": 2}
    first = out.read_bytes()
    relax_file(raw)
    assert out.read_bytes() == first
    with pytest.raises(UserError, match="folder named raw"):
        relax_file(out)
    write_parquet(raw, from_list([from_smiles("C")]))
    with pytest.raises(UserError, match="no column 'status'"):
        relax_file(raw)
