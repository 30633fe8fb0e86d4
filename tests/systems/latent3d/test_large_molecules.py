"""Drug-like molecules and peptides: sentences of the grammar, memory, and what is decoded."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDepictor

from latent3d.data.molecules.molecules import from_list
from latent3d.data.molecules.parquet import read_parquet, write_parquet
from latent3d.data.molecules.rdkit import canonical_smiles, from_rdkit, sanitised
from latent3d.graphs.graph_batches import read_graphs
from latent3d.systems.latent3d.grammar import Builder, Grammar
from latent3d.systems.latent3d.sequences import read_sequences
from latent3d.systems.latent3d.settings import Topology
from latent3d.systems.latent3d.topology import TopologicalAutoencoder, decode_graphs, encode_graphs

SIDE_CHAINS = {
    "A": "C",
    "V": "C(C)C",
    "L": "CC(C)C",
    "S": "CO",
    "C": "CS",
    "M": "CCSC",
    "D": "CC(=O)O",
    "N": "CC(N)=O",
    "K": "CCCCN",
    "R": "CCCNC(N)=N",
    "H": "Cc1cnc[nH]1",
    "F": "Cc1ccccc1",
    "Y": "Cc1ccc(O)cc1",
    "W": "Cc1c[nH]c2ccccc12",
}
LIMIT = 4096  # MB


def peptide(residues, seed=0):
    """A peptide with the coordinates of its drawing and 0.3 angstrom of noise, which take no time."""
    mol = Chem.AddHs(Chem.MolFromSmiles("".join(f"N[C@@H]({SIDE_CHAINS[r]})C(=O)" for r in residues) + "O"))
    rdDepictor.Compute2DCoords(mol)
    x = np.random.default_rng(seed).normal(0, 0.3, (mol.GetNumAtoms(), 3)) + mol.GetConformer().GetPositions()
    for atom, position in enumerate(x):
        mol.GetConformer().SetAtomPosition(atom, position)
    return from_rdkit(mol)


@pytest.fixture(scope="module")
def peptides():
    """Forty of 5 to 8 residues; the largest has 181 atoms, as the largest molecule of GEOM-Drugs."""
    rng = np.random.default_rng(0)
    random = ["".join(rng.choice(list(SIDE_CHAINS), rng.integers(5, 9))) for _ in range(39)]
    return [peptide(residues, seed) for seed, residues in enumerate(["WWWWWWWA", *random])]


def smiles_of(molecule):
    return canonical_smiles(sanitised(molecule))


def test_sentences_of_peptides_build_them_again(peptides):
    assert max(map(len, peptides)) == 181
    graphs = read_graphs(peptides)
    assert len(graphs) == len(peptides)
    grammar = Grammar.of(graphs)
    batch, builder = read_sequences(grammar, graphs).padded(), Builder(grammar, len(graphs))
    for step in range(batch.tokens.shape[1]):
        # What was stored is what the grammar says at each step.
        going = ~builder.done
        assert torch.equal(builder.mask()[going], batch.masks[going, step])
        assert torch.equal(builder.features()[going], batch.features[going, step])
        builder.step(batch.tokens[:, step])
    assert builder.done.all()
    for molecule, built in zip(peptides, builder.molecules(), strict=True):
        assert smiles_of(built) == smiles_of(molecule)


def test_large_molecules_are_learned_by_heart_and_decoded_exactly(peptides):
    graphs = read_graphs(peptides[:3])
    torch.manual_seed(0)
    model = TopologicalAutoencoder(Grammar.of(graphs), Topology(atom_latent=4, width=64, layers=2, heads=4, beta=0.001))
    sequences, batch = read_sequences(model.grammar, graphs).padded(), graphs.heavy().padded()
    optimizer, generator = torch.optim.AdamW(model.parameters(), 3e-3), torch.Generator().manual_seed(0)
    for _ in range(200):
        losses = model(batch, sequences, generator)
        optimizer.zero_grad()
        losses["loss"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    decoded = decode_graphs(model, encode_graphs(model, graphs))
    assert [smiles_of(molecule) for molecule in decoded] == [smiles_of(molecule) for molecule in peptides[:3]]


def through_latents(molecules, settings, folder):
    """What through_latents.py prints of some molecules."""
    data, script = folder / "dataset.parquet", Path(__file__).with_name("through_latents.py")
    write_parquet(data, molecules.without_table().with_columns(split="train"))
    command = [sys.executable, script, data, json.dumps(settings), folder]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(found, count):
    assert found["encoded"] == found["same_graphs"] == found["valid"] == count
    assert found["finite_latents"]
    assert found["conformers"] == found["decoded"] == {"ok": count}
    assert found["peak_memory_mb"] < LIMIT


def test_peptides_go_through_both_autoencoders_in_little_memory(peptides, tmp_path):
    # Batches of all forty would have 1.3 million pairs of atoms.
    small = {"width": 64, "layers": 2, "heads": 4, "batch_size": len(peptides)}
    settings = {"topology": small | {"steps": 2}, "geometry": small | {"steps": 1}}
    found = through_latents(from_list(peptides), settings, tmp_path)
    check(found, len(peptides))
    assert found["atoms"][1] == 181


@pytest.mark.slow
def test_a_thousand_drug_like_molecules_go_through_both_autoencoders_in_little_memory(mirror, tmp_path):
    molecules = read_parquet(mirror / "druglike" / "druglike_ccd.parquet")
    charges = np.add.reduceat(molecules.formal_charges.astype(int), molecules.atom_offsets[:-1])
    sizes = molecules.atom_counts
    rows = np.flatnonzero((charges == 0) & (sizes >= 60) & (sizes <= 117))
    assert len(rows) == 8444
    rows = np.random.default_rng(0).permutation(rows)[:1000]
    settings = {"topology": {"steps": 3, "batch_size": 256}, "geometry": {"steps": 2, "batch_size": 128}}
    check(through_latents(molecules.take(rows), settings, tmp_path), 1000)
