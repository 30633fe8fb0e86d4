import pytest
import torch
from rdkit import Chem

from latent3d.data.molecules.rdkit import canonical_smiles, sanitised
from latent3d.graphs.graph_batches import read_graphs
from latent3d.graphs.molecular_graphs import canonical_graph
from latent3d.systems.latent3d.grammar import END, Builder, Grammar

SMILES = [
    "CCO",
    "c1ccccc1",
    "c1cc[nH]c1",
    "C[N+](=O)[O-]",
    "O=C1CC1",
    "C1CC2CC1C2",
    "CC(C)(C)C",
    "[C-]#[N+]C",
    "C12C3C1C23",
]


@pytest.fixture(scope="module")
def graphs(from_smiles):
    return [canonical_graph(from_smiles(s)) for s in SMILES]


@pytest.fixture(scope="module")
def grammar(graphs):
    return Grammar.of(graphs)


def replay(grammar, sequences):
    builder = Builder(grammar, len(sequences))
    for step in range(max(map(len, sequences))):
        tokens = torch.tensor([s[step] if step < len(s) else 0 for s in sequences])
        assert builder.mask()[torch.arange(len(sequences)), tokens].all(), f"a sentence uses a masked action at {step}"
        builder.step(tokens)
    assert builder.done.all()
    return builder


def test_sentences_build_the_molecules_they_came_from(graphs, grammar):
    built = replay(grammar, [grammar.encode(graph) for graph in graphs]).molecules()
    for smiles, graph, molecule in zip(SMILES, graphs, built, strict=True):
        assert canonical_smiles(sanitised(molecule)) == canonical_smiles(Chem.MolFromSmiles(smiles))
        # Heavy atoms come out in canonical order, so that encoding again gives the same sentence.
        assert grammar.encode(canonical_graph(molecule)) == grammar.encode(graph)


def test_sentences_end_with_end_and_hydrogens_complete_the_valences(graphs, grammar):
    sentence = grammar.encode(graphs[0])
    assert sentence[-1] == END
    [ethanol] = replay(grammar, [sentence]).molecules()
    assert sorted(ethanol.atomic_numbers.tolist()) == [1] * 6 + [6, 6, 8]
    assert len(ethanol.bonds) == 8


def test_random_walks_are_neutral_valid_single_molecules(grammar):
    generator = torch.Generator().manual_seed(0)
    builder = Builder(grammar, 3000)
    for _ in range(grammar.max_length):
        builder.step((builder.mask() * torch.rand(3000, grammar.size, generator=generator)).argmax(1))
    assert builder.done.all()
    assert (builder.charge == 0).all()
    for molecule in builder.molecules():
        mol = sanitised(molecule)
        assert mol is not None
        assert len(Chem.GetMolFrags(mol)) == 1
        assert all(atom.GetNumRadicalElectrons() == 0 for atom in mol.GetAtoms())


def test_masks_never_offer_a_forbidden_bond(grammar):
    # Exhaust all states of small walks: a ring to a neighbour, or an order above the open valence, must be masked.
    generator = torch.Generator().manual_seed(1)
    builder = Builder(grammar, 500)
    for _ in range(grammar.max_length):
        mask = builder.mask()
        rings = mask[:, 2 + 3 * len(grammar.types) : -grammar.max_atoms].reshape(500, 3, grammar.max_atoms)
        bonded = builder.orders[torch.arange(500), builder.focus] > 0
        assert not (rings & bonded[:, None]).any()
        assert not (rings[:, 1] & (builder.open < 2)).any()
        builder.step((mask * torch.rand(500, grammar.size, generator=generator)).argmax(1))
    assert (builder.open >= 0).all()


def test_graphs_without_heavy_atoms_or_with_free_hydrogens_are_left_out(from_smiles):
    assert len(read_graphs([from_smiles("[H][H]")])) == 0
