"""Molecules as trees of motifs (Jin, Barzilay & Jaakkola 2020, "Hierarchical generation of molecular graphs").

A motif is a ring system or a bond outside of rings: a block (biconnected component) of the heavy-atom graph. Cutting
the bridges leaves neighbouring motifs with exactly one atom in common; each keeps a copy of it, on which hydrogens
stand for what was cut off. So every motif is a molecule of its own, and joining two at atoms of the same element,
charge and valence, one of which has hydrogens enough for the bonds of the other, is a molecule again: decoding is valid
by construction, with Kekule orders throughout. A Kekule form is a matter of one ring system alone; motifs are named by
their aromatic SMILES and carry one form, so that both forms of a substituted benzene are the same motif.

The tree is a function of the graph: atoms in canonical order, the root motif is that of the first atom, motifs that
share an atom are children of the first of them, siblings stand in the order of their atoms. Where symmetry leaves a
choice of how a motif lies on its atoms, its attachment and then its children take the first atoms they can.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache

import networkx as nx
import numpy as np
from rdkit import Chem, rdBase

from latent3d.base.errors import UserError
from latent3d.data.molecules.molecules import Molecule, Molecules
from latent3d.data.molecules.rdkit import canonical_smiles, to_rdkit
from latent3d.graphs.molecular_graphs import Graph, canonical_graph

AtomType = tuple[int, int, int]
ROOT = -1
"""Attachment of a motif that is the root of its tree."""
AROMATIC = 4
"""Kind of a bond that RDKit perceives as aromatic; the others are 1, 2, 3."""
MAX_STEPS = 150
"""Decisions of a decoding at most (to add a motif, to go back): n motifs take 2 n - 1."""
_MAX_SYMMETRIES = 1000


class NotExpressible(Exception):
    """A molecule that cannot be expressed; the message is the reason."""


@dataclass(frozen=True)
class MotifTree:
    """One molecule as n motifs in depth-first order.

    Attributes:
        graph: the molecule in canonical order.
        motifs: [n] SMILES of each.
        parents: [n] the parent of each; ROOT for the first.
        attachments: [n] the atom of the motif that it shares with its parent; ROOT for the first.
        sites: [n] which atom of the parent motif that is; ROOT for the first.
        atoms: [n] for each motif, the atoms of the graph that its atoms are.
    """

    graph: Graph
    motifs: list[str]
    parents: list[int]
    attachments: list[int]
    sites: list[int]
    atoms: list[tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.motifs)


@dataclass(frozen=True)
class Motif:
    """A motif's k atoms in the order of its SMILES.

    Attributes:
        types: (atomic number, formal charge, valence) of each atom.
        free: [k] hydrogens of each atom: what other motifs may take.
        bonds: (i, j, Kekule order, kind) of each bond.
    """

    types: tuple[AtomType, ...]
    free: np.ndarray
    bonds: tuple[tuple[int, int, int, int], ...]

    def __len__(self) -> int:
        return len(self.types)


@cache
def read_motif(smiles: str) -> Motif:
    """The motif with that SMILES."""
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise UserError(f"The vocabulary has a motif {smiles!r} that is no SMILES. Train the autoencoder again.")
    kinds = [AROMATIC if bond.GetIsAromatic() else int(bond.GetBondTypeAsDouble()) for bond in mol.GetBonds()]
    free = np.array([atom.GetTotalNumHs() for atom in mol.GetAtoms()])
    Chem.Kekulize(mol, clearAromaticFlags=True)
    bonds = [
        (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), int(bond.GetBondTypeAsDouble()), kind)
        for bond, kind in zip(mol.GetBonds(), kinds, strict=True)
    ]
    valences = free.copy()
    for i, j, order, _ in bonds:
        valences[[i, j]] += order
    labels = [(atom.GetAtomicNum(), atom.GetFormalCharge()) for atom in mol.GetAtoms()]
    return Motif(tuple((*label, int(v)) for label, v in zip(labels, valences, strict=True)), free, tuple(bonds))


def read_tree(molecule: Molecule) -> MotifTree:
    """A molecule as a tree of motifs.

    Raises:
        NotExpressible: the molecule has no usable graph, is too large to be decoded, or RDKit cannot name one of its
            motifs.
    """
    graph = canonical_graph(molecule)
    if graph is None:
        raise NotExpressible("no_usable_graph")
    n = graph.heavy
    orders = graph.orders[:n, :n]
    blocks = [sorted(block) for block in nx.biconnected_components(nx.from_numpy_array(orders))] or [[0]]
    if 2 * len(blocks) - 1 > MAX_STEPS:
        raise NotExpressible("too_many_motifs")
    order, parents, shared = _depth_first(blocks)
    children: list[list[int]] = [[] for _ in order]
    for child, parent in enumerate(parents):
        if parent != ROOT:
            children[parent].append(shared[child])
    motifs, attachments, sites, atoms = [], [], [], []
    for node, block in enumerate(order):
        smiles, symmetries = recognise(*_fragment(graph, block))
        lies = [tuple(block[i] for i in symmetry) for symmetry in symmetries]
        # How the motif lies: first atoms for the attachment, then for the children in turn.
        wanted = [shared[node]] * (node > 0) + children[node]
        lie = min(lies, key=lambda lie: ([lie.index(atom) for atom in wanted], lie))
        motifs.append(smiles)
        atoms.append(lie)
        attachments.append(lie.index(shared[node]) if node else ROOT)
        sites.append(atoms[parents[node]].index(shared[node]) if node else ROOT)
    return MotifTree(graph, motifs, parents, attachments, sites, atoms)


def _depth_first(blocks: list[list[int]]) -> tuple[list[list[int]], list[int], list[int]]:
    """Blocks in depth-first order from that of atom 0, the parent of each, and the atom it shares with its parent."""
    holders: dict[int, list[int]] = {}
    for index, block in enumerate(blocks):
        for atom in block:
            holders.setdefault(atom, []).append(index)
    order: list[list[int]] = []
    parents: list[int] = []
    shared: list[int] = []
    stack = [(min(holders[0], key=lambda index: blocks[index]), ROOT, ROOT)]
    while stack:
        index, parent, atom = stack.pop()
        order.append(blocks[index])
        parents.append(parent)
        shared.append(atom)
        found = [(other, at) for at in blocks[index] if at != atom for other in holders[at] if other != index]
        found.sort(key=lambda pair: min(a for a in blocks[pair[0]] if a != pair[1]), reverse=True)
        stack += [(other, len(order) - 1, at) for other, at in found]
    return order, parents, shared


Fragment = tuple[tuple[tuple[int, int, int], ...], tuple[tuple[int, int, int], ...]]


def _fragment(graph: Graph, block: list[int]) -> Fragment:
    """Atoms (atomic number, charge, free valence) and bonds (i, j, order) of a block."""
    orders = graph.orders[np.ix_(block, block)].astype(int)
    free = graph.valences[block] - orders.sum(1)
    labels = zip(graph.numbers[block].tolist(), graph.charges[block].tolist(), free.tolist(), strict=True)
    pairs = zip(*np.nonzero(np.triu(orders)), strict=True)
    return tuple(labels), tuple((int(i), int(j), int(orders[i, j])) for i, j in pairs)


@lru_cache(maxsize=100_000)
def recognise(
    labels: tuple[tuple[int, int, int], ...], bonds: tuple[tuple[int, int, int], ...]
) -> tuple[str, tuple[tuple[int, ...], ...]]:
    """The SMILES of a motif (hydrogens in place of free valence), and all ways its atoms can be the fragment's."""
    skeleton = to_rdkit(
        Molecule(
            np.array([number for number, _, _ in labels]),
            np.full((len(labels), 3), np.nan),
            np.array([bond[:2] for bond in bonds]).reshape(-1, 2),
            np.array([order for _, _, order in bonds]),
            np.array([charge for _, charge, _ in labels]),
        )
    )
    for atom, (_, _, free) in zip(skeleton.GetAtoms(), labels, strict=True):
        atom.SetNumExplicitHs(free)
    try:
        with rdBase.BlockLogs():
            Chem.SanitizeMol(skeleton)
            smiles = canonical_smiles(skeleton)
            motif = read_motif(smiles)
            pattern = Chem.MolFromSmiles(smiles)
    except (ValueError, UserError) as error:
        raise NotExpressible("unnamed_motif") from error
    matches = skeleton.GetSubstructMatches(pattern, uniquify=False, maxMatches=_MAX_SYMMETRIES)
    expected = [(number, charge, int(free)) for (number, charge, _), free in zip(motif.types, motif.free, strict=True)]
    symmetries = tuple(match for match in matches if [labels[atom] for atom in match] == expected)
    if not symmetries:
        raise NotExpressible("unnamed_motif")
    return smiles, symmetries


def each_tree(molecules: Molecules) -> Iterator[MotifTree | NotExpressible]:
    """The tree of every molecule in turn, or why it has none."""
    for molecule in molecules:
        try:
            yield read_tree(molecule)
        except NotExpressible as miss:
            yield miss


@dataclass(frozen=True)
class Vocabulary:
    """Everything that decoding may choose from.

    Attributes:
        types: (atomic number, formal charge, valence) of the atoms.
        motifs: SMILES of the motifs.
        pairs: (motif, attachment): the atom by which that motif may join a parent, or ROOT where it may be a root.
    """

    types: tuple[AtomType, ...]
    motifs: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    places: dict[str, dict[object, int]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("types", "motifs", "pairs"):
            self.places[name] = {entry: index for index, entry in enumerate(getattr(self, name))}

    @classmethod
    def of(cls, molecules: Molecules) -> "Vocabulary":
        """The vocabulary of all the molecules that have a tree.

        Raises:
            UserError: none has.
        """
        found: set[tuple[str, int]] = set()
        for tree in each_tree(molecules):
            if isinstance(tree, MotifTree):
                found.update(zip(tree.motifs, tree.attachments, strict=True))
        if not found:
            raise UserError("The dataset has no molecule with a usable bond graph. Check its bonds and hydrogens.")
        motifs = sorted({motif for motif, _ in found})
        place = {motif: index for index, motif in enumerate(motifs)}
        types = sorted({kind for motif in motifs for kind in read_motif(motif).types})
        return cls(tuple(types), tuple(motifs), tuple(sorted((place[motif], at) for motif, at in found)))

    def to_json(self) -> str:
        """The vocabulary as text, for the metadata of a weights file."""
        return json.dumps({"types": self.types, "motifs": self.motifs, "pairs": self.pairs})

    @classmethod
    def from_json(cls, text: str) -> "Vocabulary":
        """What `to_json` wrote."""
        content = json.loads(text)
        return cls(
            tuple(tuple(kind) for kind in content["types"]),
            tuple(content["motifs"]),
            tuple(tuple(pair) for pair in content["pairs"]),
        )

    def encode(self, tree: MotifTree) -> np.ndarray:
        """[n] the pair of every motif of a tree.

        Raises:
            NotExpressible: a motif, or its attachment, is not in the vocabulary.
        """
        motifs, pairs = self.places["motifs"], self.places["pairs"]
        if not all(motif in motifs for motif in tree.motifs):
            raise NotExpressible("unknown_motif")
        found = [pairs.get((motifs[m], at)) for m, at in zip(tree.motifs, tree.attachments, strict=True)]
        if None in found:
            raise NotExpressible("unknown_attachment")
        return np.array(found)

    @cached_property
    def tables(self) -> "Tables":
        """What the vocabulary's entries are, as arrays."""
        return Tables(self)


class Tables:
    """A vocabulary as arrays: P pairs, M motifs of K atoms in all, types, and R requirements of attachments.

    Attributes:
        motif_of_pair, attachment_of_pair: [P].
        first_atom, first_bond: [M + 1] where the atoms and bonds of each motif begin.
        atom_type, atom_free: [K] type and free valence of each motif's atoms.
        types_of, free_of: [M, .] the same padded, types with -1.
        valences: [types] valence of each type.
        bonds: [., 4] (i, j, order, kind) of each motif's bonds, i and j within the motif.
        requirement: [P] what an attachment asks of the atom it joins: type and valence that it takes; -1 for roots.
        fits: [types, 9, R] bool: an atom of that type with so many free valences meets the requirement.
        root_of_motif: [M] the pair by which the motif is a root, -1 where it cannot be.
        pairs_of_motif: [M, .] attached pairs (roots left out) of each motif, padded with -1.
        motif_requires: [R, M] bool: the motif has a pair with that requirement.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        motifs = [read_motif(smiles) for smiles in vocabulary.motifs]
        pairs = np.array(vocabulary.pairs).reshape(-1, 2)
        place = vocabulary.places["types"]
        self.motif_of_pair, self.attachment_of_pair = pairs.T
        self.first_atom = np.cumsum([0] + [len(motif) for motif in motifs])
        self.first_bond = np.cumsum([0] + [len(motif.bonds) for motif in motifs])
        self.atom_type = np.array([place[kind] for motif in motifs for kind in motif.types])
        self.atom_free = np.concatenate([motif.free for motif in motifs])
        self.bonds = np.array([bond for motif in motifs for bond in motif.bonds], int).reshape(-1, 4)
        self.root_of_motif = np.full(len(motifs), -1)
        roots = np.flatnonzero(self.attachment_of_pair == ROOT)
        self.root_of_motif[self.motif_of_pair[roots]] = roots

        present = np.arange(np.diff(self.first_atom).max()) < np.diff(self.first_atom)[:, None]
        self.types_of, self.free_of = np.full(present.shape, -1), np.zeros(present.shape, int)
        self.types_of[present], self.free_of[present] = self.atom_type, self.atom_free

        self.valences = valences = np.array([valence for _, _, valence in vocabulary.types])
        attached = np.flatnonzero(self.attachment_of_pair != ROOT)
        at = self.first_atom[self.motif_of_pair[attached]] + self.attachment_of_pair[attached]
        takes = np.stack([self.atom_type[at], valences[self.atom_type[at]] - self.atom_free[at]], 1)
        needs, requirement = np.unique(takes, axis=0, return_inverse=True)
        self.requirement = np.full(len(pairs), -1)
        self.requirement[attached] = requirement.reshape(-1)
        free = np.arange(9)
        same_type = np.arange(len(valences))[:, None, None] == needs[:, 0]
        self.fits = same_type & (needs[:, 1] <= free[None, :, None])

        counts = np.bincount(self.motif_of_pair[attached], minlength=len(motifs))
        self.pairs_of_motif = np.full((len(motifs), max(1, counts.max(initial=0))), -1)
        # Pairs are sorted by motif: the place of each within its motif.
        within = np.arange(len(attached)) - np.repeat(np.cumsum(counts) - counts, counts)
        self.pairs_of_motif[self.motif_of_pair[attached], within] = attached
        self.motif_requires = np.zeros((len(needs), len(motifs)), bool)
        self.motif_requires[self.requirement[attached], self.motif_of_pair[attached]] = True
