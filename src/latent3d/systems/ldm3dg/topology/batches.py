"""Batches of motif trees as tensors: atoms, bonds, motifs level by level, and the choices of decoding."""

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import torch

from latent3d.data.records import gather
from latent3d.systems.ldm3dg.topology.motifs import Tables

MAX_SITE = 40
"""Atoms of a motif that a network tells apart by their place; those further on share the last class."""


@dataclass(frozen=True)
class AtomGraph:
    """Atoms of many molecules (or motifs), and both directions of their bonds.

    Attributes:
        features: [A, F] int64.
        sources, targets, kinds: [E] int64; `reverse` [E] is the other direction of the same bond.
        active: number of directions whose messages are not final before each round: those that come first.
    """

    features: torch.Tensor
    sources: torch.Tensor
    targets: torch.Tensor
    kinds: torch.Tensor
    reverse: torch.Tensor
    active: tuple[int, ...]


@dataclass(frozen=True)
class UsedPairs:
    """U distinct pairs of the vocabulary.

    Attributes:
        pair, motif: [U].
        atoms: features are type, free valence, whether it is the attachment, and place in the motif.
        owner: [.] which pair each atom belongs to.
        first: [U] where the atoms of each pair begin.
    """

    pair: torch.Tensor
    motif: torch.Tensor
    atoms: AtomGraph
    owner: torch.Tensor
    first: torch.Tensor


@dataclass(frozen=True)
class TreeBatch:
    """B molecules as tensors. The N motifs of all stand level by level: those of depth d follow those of depth d - 1.

    Attributes:
        atoms: features are type and number of hydrogens.
        molecule_of_atom: [A].
        levels: number of motifs of each depth; the first level is the B roots, in the order of the molecules.
        molecule, pair, motif, parent: [N] of each motif; the parent of a root is itself.
        order, site: [N] which child of its parent it is, and by which of the parent's atoms it is joined.
        member_motif, member_atom: [C] which atoms of the molecules each motif consists of.
        earlier, later: [S] all pairs of siblings.
        open_sets: [U, requirements] bool: what the atoms open at a decision can meet.
        open_before: [N] the open set when the motif was chosen (of roots: no meaning).
        open_after: [N] the open set when the work on the motif ended.
        used: the distinct pairs in the batch.
        used_of: [N] the pair of each motif, as a place in `used`.
        choice: [Q] motifs that several atoms of the parent could have been joined to.
        candidates: [Q, K] those atoms, places in `used.atoms`; candidate_free: their free valence; candidate_mask.
        chosen: [Q] which candidate it was.
    """

    atoms: AtomGraph
    molecule_of_atom: torch.Tensor
    levels: tuple[int, ...]
    molecule: torch.Tensor
    pair: torch.Tensor
    motif: torch.Tensor
    parent: torch.Tensor
    order: torch.Tensor
    site: torch.Tensor
    member_motif: torch.Tensor
    member_atom: torch.Tensor
    earlier: torch.Tensor
    later: torch.Tensor
    open_sets: torch.Tensor
    open_before: torch.Tensor
    open_after: torch.Tensor
    used: UsedPairs
    used_of: torch.Tensor
    choice: torch.Tensor
    candidates: torch.Tensor
    candidate_free: torch.Tensor
    candidate_mask: torch.Tensor
    chosen: torch.Tensor

    def __len__(self) -> int:
        return self.levels[0]


Batch = TypeVar("Batch", TreeBatch, UsedPairs, AtomGraph)


def to_device(batch: Batch, device: str | torch.device) -> Batch:
    """The same on another device."""
    moved = {}
    for name in (field.name for field in fields(batch)):
        value = getattr(batch, name)
        if isinstance(value, AtomGraph | UsedPairs):
            value = to_device(value, device)
        elif isinstance(value, torch.Tensor):
            value = value.to(device, non_blocking=True)
        moved[name] = value
    return type(batch)(**moved)


CYCLIC = 1_000
"""Rounds of messages for a direction behind which there is a ring: they never end."""


def rounds_of(bonds: np.ndarray) -> np.ndarray:
    """After how many rounds the messages along bonds [B, 2] are final: forward and backward, [B, 2]."""
    sources, targets = np.concatenate([bonds, bonds[:, ::-1]]).T
    into = (targets[None] == sources[:, None]) & (sources[None] != targets[:, None])
    rounds = np.full(len(sources), CYCLIC)
    for count in range(1, CYCLIC):
        final = (rounds == CYCLIC) & ~(into & (rounds == CYCLIC)).any(1)
        if not final.any():
            break
        rounds[final] = count
    return rounds.reshape(2, -1).T


def both_ways(features: np.ndarray, bonds: np.ndarray) -> AtomGraph:
    """features [A, F], bonds [B, 5] (i, j, kind, rounds forward, rounds backward)."""
    half = len(bonds)
    rounds = np.concatenate([bonds[:, 3], bonds[:, 4]])
    order = np.argsort(-rounds, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(2 * half)
    columns = [*np.concatenate([bonds[:, :3], bonds[:, [1, 0, 2]]])[order].T, place[(order + half) % (2 * half or 1)]]
    last = rounds[rounds < CYCLIC].max(initial=0)
    active = tuple(int((rounds >= count).sum()) for count in range(1, last + 2))
    tensors = (torch.from_numpy(np.ascontiguousarray(column)) for column in columns)
    return AtomGraph(torch.from_numpy(features), *tensors, active)


def used_pairs(tables: Tables, pairs: np.ndarray) -> UsedPairs:
    """The distinct pairs [U] of the vocabulary with their atoms."""
    motifs = tables.motif_of_pair[pairs]
    atoms, first = gather(tables.first_atom, motifs)
    bonds, first_bond = gather(tables.first_bond, motifs)
    owner = np.repeat(np.arange(len(pairs)), np.diff(first))
    place = np.arange(len(atoms)) - first[owner]
    attached = place == tables.attachment_of_pair[pairs][owner]
    features = np.stack(
        [tables.atom_type[atoms], tables.atom_free[atoms], attached, np.minimum(place, MAX_SITE - 1)], 1
    )
    rows = tables.bonds[bonds]
    bonds_of = np.diff(first_bond)
    ends = rows[:, :2] + np.repeat(first[:-1], bonds_of)[:, None]
    rounds = np.repeat(np.where(bonds_of == 1, 1, CYCLIC), bonds_of)  # a bond, or a ring system
    graph = both_ways(features, np.column_stack([ends, rows[:, 3], rounds, rounds]))
    pair, motif, owner, first = (torch.from_numpy(array) for array in (pairs, motifs, owner, first[:-1]))
    return UsedPairs(pair, motif, graph, owner, first)
