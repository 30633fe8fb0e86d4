from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdMolAlign

from latent3d.data.molecules.rdkit import sanitised
from latent3d.evaluation.geometry import reconstruction
from latent3d.evaluation.geometry.reconstruction import (
    aligned_rmsd,
    automorphisms,
    bond_length_mae,
    exact_match_2d,
    stereocentres,
)

ALANINE = "N[C@@H](C)C(=O)O"


def placed(molecule, positions):
    return replace(molecule, positions=np.asarray(positions, np.float32))


def mirrored(molecule):
    return placed(molecule, molecule.positions * [1, 1, -1])


def shaken(molecule, noise, seed=0):
    return placed(molecule, molecule.positions + np.random.default_rng(seed).normal(0, noise, molecule.positions.shape))


def test_rotation_and_translation_do_not_matter(dataset, rotation):
    for molecule in dataset:
        heavy, everything = aligned_rmsd(molecule, placed(molecule, molecule.positions @ rotation + [3, -2, 1]))
        assert heavy < 1e-5 and everything < 1e-5


@pytest.mark.parametrize("smiles", ["CC(C)(C)C", "c1ccccc1", "C[N+](=O)[O-]", "CC(=O)[O-]", "CCO"])
def test_symmetric_atoms_may_be_exchanged(from_smiles, smiles, rotation):
    molecule = from_smiles(smiles)
    maps = automorphisms(reconstruction._symmetry_graph(molecule))
    for relabelling in maps[:: max(1, len(maps) // 7)]:
        heavy, everything = aligned_rmsd(molecule, placed(molecule, molecule.positions[relabelling] @ rotation))
        assert heavy < 1e-5 and everything < 1e-5


def test_nitro_oxygens_are_alike_but_acid_oxygens_are_not(from_smiles):
    for smiles, alike in (("C[N+](=O)[O-]", True), ("CC(=O)O", False)):
        molecule = from_smiles(smiles)
        oxygens = np.flatnonzero(molecule.atomic_numbers == 8)
        positions = molecule.positions.copy()
        positions[oxygens] = positions[oxygens[::-1]]
        assert (aligned_rmsd(molecule, placed(molecule, positions))[0] < 0.05) == alike


def test_mirror_image_of_a_chiral_molecule_is_another_molecule(from_smiles):
    for smiles in (ALANINE, "C[C@H](O)F"):
        heavy, everything = aligned_rmsd(from_smiles(smiles), mirrored(from_smiles(smiles)))
        assert heavy > 0.2 and everything > 0.3


def test_mirror_image_of_an_achiral_molecule_is_the_same(from_smiles):
    for smiles in ("c1ccccc1", "C", "C=C"):
        assert max(aligned_rmsd(from_smiles(smiles), mirrored(from_smiles(smiles)))) < 0.05


def test_equals_rdkit(dataset):
    for molecule in dataset:
        other = shaken(mirrored(molecule), 0.3)
        ours = aligned_rmsd(molecule, other)[1]
        theirs = rdMolAlign.GetBestRMS(sanitised(other), sanitised(molecule))
        assert ours == pytest.approx(theirs, abs=1e-5)


def test_alternation_finds_the_minimum_where_symmetries_are_too_many(from_smiles, rotation, monkeypatch):
    for smiles in ("CC(C)(C)C", "CCO", "CC(C)CC"):
        molecule = from_smiles(smiles)
        maps = automorphisms(reconstruction._symmetry_graph(molecule))
        other = placed(molecule, shaken(molecule, 0.1).positions[maps[len(maps) // 2]] @ rotation)
        exact = aligned_rmsd(molecule, other)[1]
        with monkeypatch.context() as patch:
            patch.setattr(reconstruction, "MAX_AUTOMORPHISMS", 10)
            assert aligned_rmsd(molecule, other)[1] == pytest.approx(exact, abs=1e-6)


def test_known_value_and_undefined_ones(from_smiles):
    # Two atoms 0.1 angstrom further apart: each is 0.05 off after alignment.
    hydrogen_fluoride = from_smiles("F")
    x = hydrogen_fluoride.positions.astype(float)
    stretched = placed(hydrogen_fluoride, [x[0], x[1] + 0.1 * (x[1] - x[0]) / np.linalg.norm(x[1] - x[0])])
    assert aligned_rmsd(hydrogen_fluoride, stretched)[1] == pytest.approx(0.05, abs=1e-6)
    assert bond_length_mae(hydrogen_fluoride, stretched) == pytest.approx(0.1, abs=1e-6)
    assert np.isnan(aligned_rmsd(from_smiles("[H][H]"), from_smiles("[H][H]"))[0])
    assert np.isnan(aligned_rmsd(from_smiles("C"), placed(from_smiles("C"), np.full((5, 3), np.nan)))).all()


def test_stereocentres(from_smiles, rotation):
    alanine = from_smiles(ALANINE)
    assert stereocentres(alanine, placed(alanine, alanine.positions @ rotation)) == (1, 1)
    assert stereocentres(alanine, mirrored(alanine)) == (0, 1)
    assert stereocentres(alanine, placed(alanine, np.full(alanine.positions.shape, np.nan))) == (0, 1)
    assert stereocentres(alanine, placed(alanine, alanine.positions * [1, 1, 0])) == (0, 1)
    assert stereocentres(from_smiles("CCO"), from_smiles("CCO")) == (0, 0)
    two = from_smiles("C[C@H](O)[C@@H](F)C")
    assert stereocentres(two, two) == (2, 2)
    # Exchanging two neighbours of one centre inverts that one alone.
    centre = next(a for a in sanitised(two).GetAtoms() if a.GetIdx() == 1)
    hydrogen, oxygen = (next(n.GetIdx() for n in centre.GetNeighbors() if n.GetSymbol() == s) for s in "HO")
    positions = two.positions.copy()
    positions[[hydrogen, oxygen]] = positions[[oxygen, hydrogen]]
    assert stereocentres(two, placed(two, positions)) == (1, 2)


def test_exact_match_ignores_stereo_and_numbering(from_smiles):
    alanine = from_smiles(ALANINE)
    assert exact_match_2d(alanine, from_smiles("OC(=O)[C@@H](N)C"))
    assert exact_match_2d(alanine, from_smiles("C[C@@H](N)C(=O)O"))
    assert not exact_match_2d(alanine, from_smiles("NCCC(=O)O"))
    broken = replace(alanine, bond_orders=np.full_like(alanine.bond_orders, 3))
    assert not exact_match_2d(alanine, broken) and not exact_match_2d(broken, broken)


def test_reference_must_have_a_graph(from_smiles):
    with pytest.raises(ValueError, match="no graph"):
        aligned_rmsd(replace(from_smiles("C"), bonds=None, bond_orders=None), from_smiles("C"))


def test_kekule_form_does_not_matter(from_smiles):
    benzene = from_smiles("c1ccccc1")
    assert Chem.MolToSmiles(Chem.RemoveHs(sanitised(benzene))) == "c1ccccc1"
    assert len(automorphisms(reconstruction._symmetry_graph(benzene))) == 12 + 1
