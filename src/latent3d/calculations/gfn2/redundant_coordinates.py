"""Redundant internal coordinates (Wilson, Decius, Cross 1955; Pulay, Fogarasi, JCP 1992, 96, 2856), their B matrix.

Bond lengths, bond angles and torsions of a bond graph. Near a straight line an angle has a cusp and its torsions are
undefined; two perpendicular bends take their place. Planar centres can leave their plane. Whatever motion is still
missing (rotation about a linear chain, fragments) is added as a straight Cartesian direction, so that any molecule is
described completely.
"""

from itertools import combinations

import numpy as np
from scipy.sparse.csgraph import connected_components

from latent3d.data.molecules.contacts import BROKEN, relative_distances
from latent3d.data.molecules.units import ANGSTROM_PER_BOHR

MAX_PER_ATOM = 20
"""A tangle of more angles and torsions per atom than this is described by its distances and Cartesian directions."""
_BENT, _STRAIGHT, _TOO_STRAIGHT = np.cos(np.deg2rad([145.0, 155.0, 165.0]))
_PLANAR = np.deg2rad(30.0)
_LINE = 0.15
"""Width relative to length of a molecule that is nearly on a line: its bends and its turning are hard to tell apart."""
_UNSEEN = 1e-6
"""Eigenvalues of B^T B below this belong to motions that no coordinate sees."""


def connecting_bonds(atomic_numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """[B, 2] bonded pairs at positions [N, 3] (bohr); fragments are joined by their relatively shortest contacts."""
    relative = relative_distances(atomic_numbers, positions * ANGSTROM_PER_BOHR)
    bonded = np.triu(relative < BROKEN, 1)
    while True:
        count, fragment = connected_components(bonded, directed=False)
        if count == 1:
            return np.argwhere(bonded)
        between = np.where(fragment[:, None] < fragment, relative, np.inf)
        first, second = sorted(np.unravel_index(between.argmin(), between.shape))
        bonded[first, second] = True


class RedundantCoordinates:
    """Q coordinates of a bond graph: lengths (bohr), angles, bends, dihedral angles (radian), directions (bohr).

    Args:
        bonds: [B, 2] bonded pairs.
        atomic_numbers: [N].
        positions: [N, 3], bohr; decides which angles are straight and which motions are missing.

    Attributes:
        bonds, angles: [B, 2], [A, 3] atoms.
        straight: [S, 3] atoms of straight angles, each bent in two perpendicular directions: 2S coordinates.
        torsions: [T, 4] atoms i, j, k, m about the bond j-k.
        impropers: [I, 4] dihedral angles that planar centres (last) make with their three neighbours.
        directions: [R, 3N] orthonormal motions that the others do not see.
    """

    def __init__(self, bonds: np.ndarray, atomic_numbers: np.ndarray, positions: np.ndarray) -> None:
        near: list[list[int]] = [[] for _ in positions]
        for i, j in bonds.tolist():
            near[i].append(j)
            near[j].append(i)
        angles = [(i, j, k) for j, ends in enumerate(near) for i, k in combinations(ends, 2)]
        torsions = [(i, j, k, m) for j, k in bonds.tolist() for i in near[j] for m in near[k] if len({i, j, k, m}) == 4]
        if len(angles) + len(torsions) > MAX_PER_ATOM * len(positions):
            angles, torsions = [], []
        self.bonds = bonds
        self.angles, straight = _split_straight(positions, _atoms(angles, 3))
        # Where a centre has other neighbours, their angles describe the bending.
        self.straight = straight[np.array([len(near[j]) == 2 for j in straight[:, 1]], bool)]
        self._axes = _perpendicular_axes(positions, self.straight)
        self.torsions = _defined_torsions(positions, _atoms(torsions, 4))
        self.impropers = _planar_centres(near, atomic_numbers, positions)
        self._dihedrals = np.concatenate([self.torsions, self.impropers])
        self.directions = np.zeros((0, positions.size))
        self.directions = _unseen_motions(self.jacobian(positions), positions)

    def values(self, positions: np.ndarray) -> np.ndarray:
        """[Q] at positions [N, 3], bohr."""
        return np.concatenate(
            [
                _lengths(positions, self.bonds),
                np.arccos(_cosines(positions, self.angles)),
                _bends(positions, self.straight, self._axes).reshape(-1),
                _dihedrals(positions, self._dihedrals),
                self.directions @ positions.reshape(-1),
            ]
        )

    def difference(self, end: np.ndarray, start: np.ndarray) -> np.ndarray:
        """[Q] end - start of two vectors of values; dihedral angles the shorter way round."""
        change = end - start
        last = len(change) - len(self.directions)
        dihedrals = slice(last - len(self._dihedrals), last)
        change[dihedrals] = (change[dihedrals] + np.pi) % (2 * np.pi) - np.pi
        return change

    def jacobian(self, positions: np.ndarray) -> np.ndarray:
        """[Q, 3N] derivatives of the values with respect to the positions [N, 3], bohr: Wilson's B."""
        bends = _bend_derivatives(positions, self.straight, self._axes)
        return np.concatenate(
            [
                _scatter(self.bonds, _length_derivatives(positions, self.bonds), positions),
                _scatter(self.angles, _angle_derivatives(positions, self.angles), positions),
                *(_without_rigid_motions(_scatter(self.straight, part, positions), positions) for part in bends),
                _scatter(self._dihedrals, _dihedral_derivatives(positions, self._dihedrals), positions),
                self.directions,
            ]
        )

    def is_stale(self, positions: np.ndarray) -> bool:
        """Whether an angle has become so straight, or a straight one so bent, that the choice no longer fits."""
        straightened = _cosines(positions, self.angles) < _TOO_STRAIGHT
        bent = _cosines(positions, self.straight) > _BENT
        return bool(straightened.any() or bent.any())


def pseudo_inverse(jacobian: np.ndarray) -> np.ndarray:
    """[3N, Q] least-norm inverse of B: it turns small changes of the coordinates into Cartesian ones."""
    values, vectors = np.linalg.eigh(jacobian.T @ jacobian)
    seen = values > _UNSEEN
    return (vectors[:, seen] / values[seen]) @ (jacobian @ vectors[:, seen]).T


def _atoms(tuples: list[tuple[int, ...]], width: int) -> np.ndarray:
    return np.array(tuples, int).reshape(-1, width)


def _split_straight(positions: np.ndarray, triples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    straight = _cosines(positions, triples) < _STRAIGHT
    return triples[~straight], triples[straight]


def _defined_torsions(positions: np.ndarray, quadruples: np.ndarray) -> np.ndarray:
    inner = [_cosines(positions, triples) for triples in (quadruples[:, :3], quadruples[:, 1:])]
    return quadruples[np.minimum(*inner) >= _STRAIGHT]


def _planar_centres(near: list[list[int]], atomic_numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Three dihedral angles for each planar centre of three neighbours. Nitrogen inverts too easily to count."""
    centres = [atom for atom, ends in enumerate(near) if len(ends) == 3 and atomic_numbers[atom] != 7]
    turns = [(0, 1, 2), (1, 2, 0), (2, 0, 1)]
    quadruples = _atoms([(*(near[atom][end] for end in turn), atom) for atom in centres for turn in turns], 4)
    planar = np.abs(_dihedrals(positions, quadruples)).reshape(-1, 3).max(axis=1, initial=0) < _PLANAR
    return quadruples[np.repeat(planar, 3)]


def _perpendicular_axes(positions: np.ndarray, triples: np.ndarray) -> np.ndarray:
    """[2, S, 3] unit vectors perpendicular to each other and to the lines through straight angles."""
    line = positions[triples[:, 2]] - positions[triples[:, 0]]
    other = np.eye(3)[np.abs(line).argmin(axis=1)]
    first = np.cross(line, other)
    second = np.cross(line, first)
    axes = np.array([first, second])
    return axes / np.linalg.norm(axes, axis=-1, keepdims=True)


def _rigid_motions(positions: np.ndarray) -> np.ndarray:
    """[K, 3N] orthonormal translations and rotations, without the one about the axis of a molecule nearly on a line."""
    n = len(positions)
    translations = np.array([np.tile(axis, n) for axis in np.eye(3)]) / np.sqrt(n)
    centred = positions - positions.mean(axis=0)
    rotations = np.array([np.cross(axis, centred).reshape(-1) for axis in np.eye(3)])
    _, singular, right = np.linalg.svd(rotations, full_matrices=False)
    return np.concatenate([translations, right[singular > _LINE * singular[0]]])


def _without_rigid_motions(rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Derivatives [K, 3N] of coordinates whose axes turn with the molecule."""
    if not len(rows):
        return rows
    rigid = _rigid_motions(positions)
    return rows - rows @ rigid.T @ rigid


def _unseen_motions(jacobian: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """[R, 3N] orthonormal motions that change no coordinate and are neither translations nor rotations."""
    rigid = _rigid_motions(positions)
    values, vectors = np.linalg.eigh(jacobian.T @ jacobian + rigid.T @ rigid)
    return vectors[:, values < _UNSEEN].T


def _scatter(atoms: np.ndarray, derivatives: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Rows [K, 3N] of B from derivatives [K, n, 3] with respect to n atoms each."""
    rows = np.zeros((len(atoms), *positions.shape))
    rows[np.arange(len(atoms))[:, None], atoms] = derivatives
    return rows.reshape(len(atoms), positions.size)


def _lengths(positions: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)


def _cosines(positions: np.ndarray, triples: np.ndarray) -> np.ndarray:
    u, v, _, _ = _arms(positions, triples)
    return (u * v).sum(axis=1).clip(-1, 1)


def _arms(positions: np.ndarray, triples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors [K, 3] from the middle atoms to both ends, and their lengths [K, 1]."""
    i, j, k = triples.T
    u, v = positions[i] - positions[j], positions[k] - positions[j]
    u_length, v_length = (np.linalg.norm(arm, axis=1, keepdims=True) for arm in (u, v))
    return u / u_length, v / v_length, u_length, v_length


def _length_derivatives(positions: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """[K, 2, 3]."""
    u = positions[pairs[:, 0]] - positions[pairs[:, 1]]
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    return np.stack([u, -u], axis=1)


def _angle_derivatives(positions: np.ndarray, triples: np.ndarray) -> np.ndarray:
    """[K, 3, 3]."""
    u, v, u_length, v_length = _arms(positions, triples)
    cosine = (u * v).sum(axis=1, keepdims=True)
    sine = np.sqrt((1 - cosine**2).clip(1e-12))
    first = (cosine * u - v) / (u_length * sine)
    last = (cosine * v - u) / (v_length * sine)
    return np.stack([first, -first - last, last], axis=1)


def _bends(positions: np.ndarray, triples: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """[2, K]: how far a straight angle is bent along each of its axes [2, K, 3]."""
    u, v, _, _ = _arms(positions, triples)
    return (axes * (u + v)).sum(axis=-1)


def _bend_derivatives(positions: np.ndarray, triples: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """[2, K, 3, 3]."""
    u, v, u_length, v_length = _arms(positions, triples)
    first = (axes - (axes * u).sum(axis=-1, keepdims=True) * u) / u_length
    last = (axes - (axes * v).sum(axis=-1, keepdims=True) * v) / v_length
    return np.stack([first, -first - last, last], axis=2)


def _dihedrals(positions: np.ndarray, quadruples: np.ndarray) -> np.ndarray:
    _, axis, _, a, b = _planes(positions, quadruples)
    length = np.linalg.norm(axis, axis=1)
    return np.arctan2((_cross(b, a) * axis).sum(axis=1), (a * b).sum(axis=1) * length)


def _dihedral_derivatives(positions: np.ndarray, quadruples: np.ndarray) -> np.ndarray:
    """[K, 4, 3] (Blondel, Karplus, J. Comput. Chem. 1996, 17, 1132)."""
    f, axis, h, a, b = _planes(positions, quadruples)
    length = np.linalg.norm(axis, axis=1, keepdims=True)
    a /= (a**2).sum(axis=1, keepdims=True).clip(1e-12)
    b /= (b**2).sum(axis=1, keepdims=True).clip(1e-12)
    along_f, along_h = ((arm * axis).sum(axis=1, keepdims=True) / length for arm in (f, h))
    first, last = -length * a, length * b
    shared = along_f * a - along_h * b
    return np.stack([first, shared - first, -shared - last, last], axis=1)


def _planes(positions: np.ndarray, quadruples: np.ndarray) -> tuple[np.ndarray, ...]:
    """Arms f = r_i - r_j and h = r_m - r_k, axis r_j - r_k, normals f x axis and h x axis: [K, 3] each."""
    i, j, k, m = quadruples.T
    f, axis, h = positions[i] - positions[j], positions[j] - positions[k], positions[m] - positions[k]
    return f, axis, h, _cross(f, axis), _cross(h, axis)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of rows [K, 3]: several times faster than numpy's for few rows."""
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=1)
