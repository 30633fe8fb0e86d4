"""Decoding 10,000 random codes, before and after some training, gives nothing but valid molecules: `make test-slow`."""

from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem

from latent3d.data.molecules.parquet import read_parquet
from latent3d.data.molecules.rdkit import canonical_smiles, sanitised
from latent3d.systems.ldm3dg.settings import Topology
from latent3d.systems.ldm3dg.topology.autoencoder import TopologicalAutoencoder
from latent3d.systems.ldm3dg.topology.motifs import Vocabulary
from latent3d.systems.ldm3dg.topology.trees import read_trees
from latent3d.training.batches import Batches

pytestmark = pytest.mark.slow

MINI = Path(__file__).parents[2] / "resources" / "mini.parquet"


@pytest.mark.parametrize("steps", [0, 300])
def test_no_random_code_is_an_invalid_graph(steps):
    data = read_parquet(MINI).split("train")
    vocabulary = Vocabulary.of(data)
    trees = read_trees(vocabulary, data)
    torch.manual_seed(0)
    model = TopologicalAutoencoder(vocabulary, Topology(hidden=64, embed=64))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    batches = Batches(trees.sizes, 32, seed=0)
    for step in range(steps):
        loss = model(trees.select(batches(step)), torch.Generator().manual_seed(step), 0.0)["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5)
        optimizer.step()
    # As wide as the codes of molecules are, or wider.
    scale = max(2.0, model.mean(model.encode(trees.select(np.arange(500)))).std().item())
    molecules = model.decode(scale * torch.randn(10_000, 32, generator=torch.Generator().manual_seed(1)))
    mols = [sanitised(molecule) for molecule in molecules]
    assert len(mols) == 10_000
    assert all(mol is not None and len(Chem.GetMolFrags(mol)) == 1 for mol in mols)
    assert len(set(map(canonical_smiles, mols))) > 100
