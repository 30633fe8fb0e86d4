"""Bond lengths, bond angles and torsions of many molecules at once, each with its type.

A type is a chain of two, three or four bonded atoms: its elements and the kinds of its bonds, packed into one integer.
Both directions of reading give the same type, and the same value.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from latent3d.data.molecules.molecules import Molecules

AROMATIC = 4
"""Kind of an aromatic bond; the other kinds are the bond orders 1, 2, 3."""

LINEAR = 5.0
"""Degrees from straight (or folded) within which an angle has no torsion: 0.01 Å would turn it by several degrees."""

_BLOCK = 200_000
"""Directed bonds done at once: bounds the memory."""


def internal_coordinates(
    molecules: Molecules, bond_kinds: np.ndarray, usable: np.ndarray
) -> Iterator[dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Type keys [N] int64 and values [N] float64 of `bond_length` (angstrom), `bond_angle` and `torsion` (degrees).

    In blocks of bonds. Torsions are signed as IUPAC has it, -180 to 180. NaN is what is not defined: angles and
    torsions at bonded atoms that coincide, torsions with a straight angle (`LINEAR`).

    Args:
        molecules: M molecules with B bonds in all.
        bond_kinds: [B] 1, 2, 3 or AROMATIC.
        usable: [M] bool, molecules to use; no bond of theirs may occur twice.

    Raises:
        ValueError: a usable molecule has a coordinate that is not finite.
    """
    if not np.isfinite(molecules.positions[np.repeat(usable, molecules.atom_counts)]).all():
        raise ValueError("a usable molecule has a coordinate that is not finite")
    bonds = _directed_bonds(molecules, bond_kinds, usable)
    for start in range(0, len(bonds.source), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(bonds.source)))
        one_way = block[bonds.source[block] < bonds.target[block]]
        yield {
            "bond_length": _lengths(bonds, one_way),
            "bond_angle": _angles(bonds, block),
            "torsion": _torsions(bonds, one_way),
        }


@dataclass(frozen=True)
class _DirectedBonds:
    """Every bond of the usable molecules, once in each direction (E in all), sorted by the atom that it leaves.

    Attributes:
        elements: [A] int64.
        source, target: [E] int64, indices of atoms.
        kind: [E] int64.
        length: [E] float64, angstrom.
        direction: [E, 3] float64, unit vectors from source to target; NaN where both coincide.
        offsets: [A + 1] int64; the bonds offsets[a]:offsets[a + 1] leave atom a.
    """

    elements: np.ndarray
    source: np.ndarray
    target: np.ndarray
    kind: np.ndarray
    length: np.ndarray
    direction: np.ndarray
    offsets: np.ndarray

    def leaving(self, atoms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The bonds that leave each of `atoms`, as pairs: index into `atoms`, and bond."""
        starts, counts = self.offsets[atoms], self.offsets[atoms + 1] - self.offsets[atoms]
        owner = np.repeat(np.arange(len(atoms)), counts)
        return owner, np.arange(len(owner)) + np.repeat(starts - np.cumsum(counts) + counts, counts)

    def types(self, atoms: Sequence[np.ndarray], bonds: Sequence[np.ndarray]) -> np.ndarray:
        """[N] type keys, below 2^41, of chains of atoms with the bonds between them: the smaller of both directions."""
        elements, kinds = [self.elements[atom] for atom in atoms], [self.kind[bond] for bond in bonds]
        return np.minimum(_packed(elements, kinds), _packed(elements[::-1], kinds[::-1]))


def _packed(elements: Sequence[np.ndarray], kinds: Sequence[np.ndarray]) -> np.ndarray:
    key = elements[0]
    for kind, element in zip(kinds, elements[1:], strict=True):
        key = (key << 3 | kind) << 8 | element
    return key


def _directed_bonds(molecules: Molecules, kinds: np.ndarray, usable: np.ndarray) -> _DirectedBonds:
    counts = np.diff(molecules.bond_offsets)
    used = np.repeat(usable, counts)
    first, second = (molecules.bonds[used] + np.repeat(molecules.atom_offsets[:-1], counts)[used, None]).T
    source, target = np.concatenate([first, second]), np.concatenate([second, first])
    order = np.argsort(source, kind="stable")
    source, target = source[order], target[order]
    vector = molecules.positions[target].astype(np.float64) - molecules.positions[source]
    length = np.sqrt(np.einsum("ex,ex->e", vector, vector))
    direction = np.full_like(vector, np.nan)
    np.divide(vector, length[:, None], out=direction, where=length[:, None] > 0)
    return _DirectedBonds(
        molecules.atomic_numbers.astype(np.int64),
        source,
        target,
        np.tile(kinds[used].astype(np.int64), 2)[order],
        length,
        direction,
        np.searchsorted(source, np.arange(len(molecules.atomic_numbers) + 1)),
    )


def _lengths(bonds: _DirectedBonds, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the bonds in `block`."""
    return bonds.types([bonds.source[block], bonds.target[block]], [block]), bonds.length[block]


def _angles(bonds: _DirectedBonds, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Between each bond in `block` and the later ones that leave the same atom."""
    owner, second = bonds.leaving(bonds.source[block])
    first = block[owner]
    first, second = first[first < second], second[first < second]
    cosine = np.einsum("nx,nx->n", bonds.direction[first], bonds.direction[second])
    types = bonds.types([bonds.target[first], bonds.source[first], bonds.target[second]], [first, second])
    return types, np.degrees(np.arccos(cosine.clip(-1, 1)))


def _torsions(bonds: _DirectedBonds, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the chains i-j-k-l around the bonds j-k in `block`."""
    owner, ji = bonds.leaving(bonds.source[block])
    jk = block[owner]
    ji, jk = ji[ji != jk], jk[ji != jk]
    owner, kl = bonds.leaving(bonds.target[jk])
    ji, jk = ji[owner], jk[owner]
    # l = j goes back; l = i closes a three-membered ring.
    chain = (bonds.target[kl] != bonds.source[jk]) & (bonds.target[kl] != bonds.target[ji])
    ji, jk, kl = ji[chain], jk[chain], kl[chain]
    types = bonds.types([bonds.target[ji], bonds.source[jk], bonds.target[jk], bonds.target[kl]], [ji, jk, kl])
    return types, _dihedrals(bonds.direction[ji], bonds.direction[jk], bonds.direction[kl])


def _dihedrals(ji: np.ndarray, jk: np.ndarray, kl: np.ndarray) -> np.ndarray:
    """[N] degrees, of unit vectors [N, 3]; NaN where one of the two angles is straight."""
    normal_i, normal_l = np.cross(jk, ji), np.cross(jk, kl)
    sine, cosine = -np.einsum("nx,nx->n", ji, normal_l), np.einsum("nx,nx->n", normal_i, normal_l)
    dihedrals = np.degrees(np.arctan2(sine, cosine))
    # A normal is as long as the sine of its angle.
    for normal in (normal_i, normal_l):
        dihedrals[np.einsum("nx,nx->n", normal, normal) < np.sin(np.radians(LINEAR)) ** 2] = np.nan
    return dihedrals
