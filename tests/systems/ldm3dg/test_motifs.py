from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from latent3d.data.molecules.bonds import with_smiles_bonds
from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.parquet import read_parquet
from latent3d.data.molecules.rdkit import canonical_smiles, from_rdkit, sanitised
from latent3d.data.molecules.sdf import read_sdf
from latent3d.systems.ldm3dg.topology.assembly import replay
from latent3d.systems.ldm3dg.topology.motifs import ROOT, NotExpressible, Vocabulary, read_tree
from latent3d.systems.ldm3dg.topology.trees import read_trees

MINI = Path(__file__).parents[3] / "resources" / "mini.parquet"

SPECIAL = [
    "C",
    "N#N",
    "CC(C)(C)C",  # four bonds on one atom
    "Cc1ccccc1C",
    "c1ccc2ccccc2c1",  # fused
    "c1ccc2cccc-2cc1",  # azulene
    "C1CC12CC2",  # spiro
    "C1CC12CC23CC3",
    "C1CC2CCC1C2",  # bridged
    "C12C3C4C1C5C2C3C45",  # cubane
    "C1C2CC3CC1CC(C2)C3",  # adamantane
    "O=c1cccccc1",  # exocyclic double bonds in aromatic rings
    "Cn1c(=O)c2[nH]cnc2n(C)c1=O",
    "O=C1C=CC(=O)C=C1",
    "CC1=C(C)C=CC=CC=C1",  # two Kekule forms that RDKit holds apart
    "CC1=CC=CC=CC=C1C",
    "C[N+](=O)[O-]",
    "C[N+](C)(C)CC(=O)[O-]",
    "[nH+]1ccccc1",
    "CS(=O)(=O)c1ccc(N)cc1",
    "CP(=O)(O)OC",
    "FC(F)(F)c1nnn[nH]1",
    "c1ccccc1-c1ccc2c(c1)OCO2",
    "C#CC1=NOC(C2CC2)=C1",
]


def from_text(smiles: str) -> Molecule:
    """The molecule of a SMILES with its hydrogens; positions are NaN."""
    return from_rdkit(Chem.AddHs(Chem.MolFromSmiles(smiles)))


def smiles_of(molecule: Molecule) -> str:
    mol = sanitised(molecule)
    assert mol is not None
    assert len(Chem.GetMolFrags(mol)) == 1
    return canonical_smiles(mol)


def rebuilt(molecules):
    """SMILES of all molecules, and of what their trees assemble to."""
    molecules = [m for m in molecules if m.bonds is not None]
    vocabulary = Vocabulary.of(from_list(molecules))
    trees = [read_tree(molecule) for molecule in molecules]
    assembly, _, _ = replay(vocabulary, trees, [vocabulary.encode(tree) for tree in trees])
    assert (assembly.current == ROOT).all()
    return list(map(smiles_of, molecules)), list(map(smiles_of, assembly.molecules()))


@pytest.mark.parametrize(
    ("smiles", "motifs"),
    [
        ("C", ["C"]),
        ("CCO", ["CC", "CO"]),
        ("Cc1ccccc1", ["CC", "c1ccccc1"]),
        ("c1ccccc1-c1ccccc1", ["CC", "c1ccccc1", "c1ccccc1"]),
        ("c1ccc2ccccc2c1", ["c1ccc2ccccc2c1"]),
        ("C1CC12CC2", ["C1CC1", "C1CC1"]),
        ("C1CC2CCC1C2", ["C1CC2CCC1C2"]),
        ("O=C1CCCCC1", ["C1CCCCC1", "C=O"]),
        ("C[N+](=O)[O-]", ["C[NH3+]", "[NH2+]=O", "[NH3+][O-]"]),
        ("CS(C)(=O)=O", ["C[SH5]", "C[SH5]", "O=[SH4]", "O=[SH4]"]),
    ],
)
def test_motifs_are_ring_systems_and_bonds_filled_up_with_hydrogens(smiles, motifs):
    assert sorted(read_tree(from_text(smiles)).motifs) == sorted(motifs)


def test_motifs_on_one_atom_are_children_of_the_first():
    tree = read_tree(from_text("CC(C)(C)C"))
    assert tree.parents == [ROOT, 0, 0, 0]
    assert len(set(tree.sites[1:])) == 1


@pytest.mark.parametrize("pair", [("CC1=CC=CC=C1C", "CC1=C(C)C=CC=C1"), ("C1=CC=C2C=CC=CC2=C1", "C1=CC2=CC=CC=C2C=C1")])
def test_kekule_forms_have_the_same_tree(pair):
    found, forms = [], []
    for smiles in pair:
        mol = Chem.MolFromSmiles(smiles, sanitize=False)
        Chem.SanitizeMol(mol, Chem.SANITIZE_SYMMRINGS | Chem.SANITIZE_PROPERTIES)
        molecule = from_rdkit(Chem.AddHs(mol))
        forms.append(sorted(zip(molecule.bonds.tolist(), molecule.bond_orders.tolist(), strict=True)))
        found.append(read_tree(molecule))
    assert forms[0] != forms[1]
    assert found[0].motifs == found[1].motifs
    assert found[0].sites == found[1].sites


@pytest.mark.parametrize(
    "smiles", ["Cc1ccc(O)c(C#N)c1", "CC(C)(C)C1CC2CCC1C2", "Cn1c(=O)c2[nH]cnc2n(C)c1=O", "OCC1CC12CC2F"]
)
def test_the_order_of_atoms_does_not_matter(smiles):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    trees = [read_tree(from_rdkit(mol))]
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(mol.GetNumAtoms())
        trees.append(read_tree(from_rdkit(Chem.RenumberAtoms(mol, order.tolist()))))
    for tree in trees[1:]:
        for name in ("motifs", "parents", "attachments", "sites"):
            assert getattr(tree, name) == getattr(trees[0], name)


def test_replayed_trees_are_the_molecules():
    expected, found = rebuilt(map(from_text, SPECIAL))
    assert found == expected


def test_replayed_trees_are_the_embedded_molecules():
    data = read_parquet(MINI)
    expected, found = rebuilt(data.take(np.random.default_rng(0).permutation(len(data))[:400]))
    assert found == expected


def test_replayed_trees_are_the_molecules_of_qm9(mirror):
    data = read_parquet(mirror / "qm9" / "qm9_geometries.parquet")
    rows = np.random.default_rng(0).permutation(len(data))[:500]
    expected, found = rebuilt(with_smiles_bonds(data.take(rows), 1))
    assert found == expected


def test_replayed_trees_are_drug_like_molecules(mirror):
    data = read_sdf(mirror / "druglike" / "druglike_conformers.sdf.gz")
    expected, found = rebuilt(data.take(np.arange(0, len(data), 4)))
    assert found == expected


def test_what_a_vocabulary_cannot_express_is_counted():
    vocabulary = Vocabulary.of(from_list(map(from_text, ["Cc1ccccc1", "CCO", "c1ccccc1"])))
    molecules = ["CCO", "CC.CC", "CC1CC1", "c1ccccc1O", "OCC", "OCO", "C" * 80, "[H][H]"]
    trees = read_trees(vocabulary, from_list(map(from_text, molecules)))
    assert trees.index.tolist() == [0, 4]
    assert trees.misses == {
        1: "no_usable_graph",
        2: "unknown_motif",
        3: "unknown_attachment",
        5: "unknown_attachment",
        6: "too_many_motifs",
        7: "no_usable_graph",
    }
    assert trees.miss_counts["no_usable_graph"] == 2
    with pytest.raises(NotExpressible):
        read_tree(from_text("CC.CC"))


def test_a_vocabulary_survives_its_text():
    vocabulary = Vocabulary.of(from_list(map(from_text, SPECIAL)))
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again == vocabulary
    molecules = from_list(map(from_text, SPECIAL))
    assert (read_trees(again, molecules).motifs.values == read_trees(vocabulary, molecules).motifs.values).all()
