import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from rdkit import Chem

from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.rdkit import sanitised
from latent3d.graphs.conformers import read_conformers
from latent3d.graphs.graph_batches import Graphs
from latent3d.graphs.molecular_graphs import canonical_graph, order_hydrogens

SMILES = ["CCO", "c1ccccc1C", "C[C@H](O)F", "N[C@@H](C)C(=O)O", "NC=O", "C", "CC(C)N"]


def shuffled(molecule, seed):
    order = np.random.default_rng(seed).permutation(len(molecule))
    rank = np.argsort(order)
    return Molecule(
        molecule.atomic_numbers[order],
        molecule.positions[order],
        rank[molecule.bonds].astype(np.int16),
        molecule.bond_orders,
        molecule.formal_charges[order],
    )


@pytest.mark.parametrize("smiles", SMILES)
def test_the_graph_does_not_depend_on_the_order_of_atoms(from_smiles, smiles):
    molecule = from_smiles(smiles)
    first = canonical_graph(molecule)
    for seed in range(5):
        again = canonical_graph(shuffled(molecule, seed))
        for name in ("atoms", "bonds"):
            np.testing.assert_array_equal(getattr(first, name), getattr(again, name), err_msg=name)
        np.testing.assert_array_equal(
            molecule.atomic_numbers[first.source], shuffled(molecule, seed).atomic_numbers[again.source]
        )


def test_batches_hold_the_bonds_and_paths_that_rdkit_sees(from_smiles):
    molecules = [from_smiles(smiles) for smiles in (*SMILES, "CCCCCCCCCC")]
    graphs = [canonical_graph(molecule) for molecule in molecules]
    batch = Graphs.of(graphs).padded()
    for row, (molecule, graph) in enumerate(zip(molecules, graphs, strict=True)):
        mol, size = Chem.RenumberAtoms(sanitised(molecule), graph.source.tolist()), len(graph)
        assert batch.mask[row].sum() == size and batch.mask[row, :size].all()
        expected = np.minimum(Chem.GetDistanceMatrix(mol), 7)
        np.testing.assert_array_equal(batch.paths[row, :size, :size], expected)
        assert (batch.paths[row, size:] == 7).all() and (batch.paths[row, :, size:] == 7).all()
        assert (batch.kinds[row, size:] == 0).all() and (batch.kinds[row, :, size:] == 0).all()
        for i, j in itertools.product(range(size), repeat=2):
            bond = mol.GetBondBetweenAtoms(i, j)
            aromatic, conjugated = (bond.GetIsAromatic(), bond.GetIsConjugated()) if bond else (False, False)
            kind = int(batch.kinds[row, i, j])
            assert (kind & 3 > 0, kind & 4 > 0, kind & 8 > 0) == (bond is not None, aromatic, conjugated)
        Chem.Kekulize(mol, clearAromaticFlags=True)
        adjacency = Chem.GetAdjacencyMatrix(mol, useBO=True)
        np.testing.assert_array_equal(batch.orders[row, :size, :size], adjacency)
    # Each graph for itself, and in whatever batch.
    for row, graph in enumerate(graphs):
        for part in (Graphs.of([graph]).padded(), Graphs.of(graphs).padded([row])):
            assert torch.equal(part.atoms[0], torch.from_numpy(graph.atoms))
            assert torch.equal(part.paths[0], batch.paths[row, : len(graph), : len(graph)])


def test_graphs_lie_in_flat_arrays_and_come_back(from_smiles):
    found = [canonical_graph(from_smiles(smiles)) for smiles in SMILES]
    graphs = Graphs.of(found)
    assert graphs.sizes.tolist() == [len(graph) for graph in found]
    for graph, again in zip(found, graphs, strict=True):
        for name in ("atoms", "bonds", "source"):
            np.testing.assert_array_equal(getattr(graph, name), getattr(again, name))
    for graph, heavy in zip(found, graphs.heavy(), strict=True):
        n = graph.heavy
        np.testing.assert_array_equal(heavy.atoms, graph.atoms[:n])
        np.testing.assert_array_equal(heavy.orders, graph.orders[:n, :n])
    # A few bytes for an atom: no matrix over pairs is kept.
    large = Graphs.of([canonical_graph(from_smiles("C" * 40))])
    assert sum(part.values.nbytes for part in (large.atoms, large.bonds, large.source)) < 40 * large.sizes.sum()


def test_fragments_and_impossible_bonds_have_no_graph(from_smiles):
    water = from_smiles("O")
    assert canonical_graph(replace(water, bond_orders=np.array([4, 1], np.uint8))) is None
    two = Molecule(
        np.tile(water.atomic_numbers, 2),
        np.concatenate([water.positions, water.positions + 5]),
        np.concatenate([water.bonds, water.bonds + 3]),
        np.tile(water.bond_orders, 2),
        np.tile(water.formal_charges, 2),
    )
    assert canonical_graph(two) is None


def test_larger_molecules_than_a_code_has_places_for_are_left_out(from_smiles):
    molecules = from_list([from_smiles(s) for s in ("CCO", "c1ccccc1C", "C")])
    assert read_conformers(molecules, max_heavy=3).index.tolist() == [0, 2]
    assert len(read_conformers(molecules, max_heavy=0).graphs) == 0


@pytest.mark.parametrize("smiles", SMILES)
def test_hydrogen_labels_follow_the_conformer_not_the_file(from_smiles, rotation, smiles):
    molecule = from_smiles(smiles)
    # A generic conformer: labels are only defined up to exact symmetry.
    noise = 0.1 * np.random.default_rng(3).normal(size=molecule.positions.shape)
    molecule = Molecule(
        molecule.atomic_numbers,
        (molecule.positions + noise).astype(np.float32),
        molecule.bonds,
        molecule.bond_orders,
        molecule.formal_charges,
    )
    graph = canonical_graph(molecule)
    x = molecule.positions[graph.source].astype(float)
    labelled = x[order_hydrogens(graph, x)]
    rng = np.random.default_rng(0)
    for _ in range(5):
        # Swap the hydrogens of each heavy atom at random, and rotate.
        order = np.arange(len(graph))
        for parent in range(graph.heavy):
            siblings = np.flatnonzero((graph.parents == parent) & (graph.ordinals > 0))
            order[siblings] = rng.permutation(siblings)
        y = x[order] @ rotation.T + 1.0
        again = y[order_hydrogens(graph, y)]
        free = graph.heavy > 1  # methane's labels are only fixed up to rotation
        if free:
            np.testing.assert_allclose((again - 1.0) @ rotation, labelled, atol=1e-6)


def test_mirrored_conformers_keep_the_graph_and_all_distances_to_heavy_atoms(from_smiles):
    conformers = read_conformers(from_list([from_smiles(s) for s in SMILES]))
    assert len(conformers.graphs) == len(SMILES)
    for i, graph in enumerate(conformers.graphs):
        x, y = (p[i].numpy() for p in (conformers.positions, conformers.mirrored))
        n = graph.heavy
        distances = [np.linalg.norm(p[:n, None] - p[None, :n], axis=-1) for p in (x, y)]
        np.testing.assert_allclose(distances[0], distances[1], atol=1e-5)
        if n > 3:
            volumes = [np.linalg.det(p[[1, 2, 3]] - p[0]) for p in (x, y)]
            assert volumes[0] == pytest.approx(-volumes[1], abs=1e-4)
