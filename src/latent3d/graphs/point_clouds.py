"""Molecules as point clouds: positions and elements, no bonds. What models in atom space see and make."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch

from latent3d.base.errors import UserError
from latent3d.data.molecules.molecules import Molecule, Molecules
from latent3d.graphs.ragged import RaggedTensor, Rows


@dataclass(frozen=True)
class PointCloudBatch:
    """M molecules padded to N atoms.

    Attributes:
        positions: [M, N, 3] float32, angstrom, centre of gravity at zero; zero at padding.
        types: [M, N] int64, place of each atom's element in `elements`; 0 at padding.
        mask: [M, N] True for atoms.
        elements: atomic numbers, ascending.
    """

    positions: torch.Tensor
    types: torch.Tensor
    mask: torch.Tensor
    elements: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.mask)

    @property
    def sizes(self) -> torch.Tensor:
        """[M] number of atoms."""
        return self.mask.sum(1)

    def to(self, device: str) -> "PointCloudBatch":
        """The same on a device."""
        return replace(
            self, positions=self.positions.to(device), types=self.types.to(device), mask=self.mask.to(device)
        )

    def rotated(self, rotations: torch.Tensor) -> "PointCloudBatch":
        """The molecules turned by rotations (or reflected) [M, 3, 3]."""
        return replace(self, positions=self.positions @ rotations.to(self.positions).transpose(1, 2))

    def atomic_numbers(self) -> torch.Tensor:
        """[M, N] atomic numbers, 0 at padding."""
        return torch.tensor(self.elements, device=self.types.device)[self.types] * self.mask


@dataclass(frozen=True)
class PointClouds:
    """M molecules as flat arrays: `positions` [N, 3] and `types` [N] uint8 of each (see `PointCloudBatch`)."""

    positions: RaggedTensor
    types: RaggedTensor
    elements: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def sizes(self) -> np.ndarray:
        """[M] number of atoms."""
        return self.positions.counts

    def to(self, device: str) -> "PointClouds":
        """The same on a device."""
        return replace(self, positions=self.positions.to(device), types=self.types.to(device))

    def padded(self, rows: Rows | None = None) -> PointCloudBatch:
        """The molecules at `rows` (all without) as a batch on the same device."""
        positions, types = self.positions.padded(rows), self.types.padded(rows).long()
        return PointCloudBatch(positions, types, self.positions.mask(rows), self.elements)


def elements_of(molecules: Molecules) -> tuple[int, ...]:
    """The atomic numbers that occur, ascending.

    Raises:
        UserError: there is no atom at all.
    """
    if not len(molecules.atomic_numbers):
        raise UserError("The dataset has no training molecule with atoms.")
    return tuple(int(number) for number in np.unique(molecules.atomic_numbers))


def read_clouds(molecules: Molecules, elements: tuple[int, ...]) -> tuple[PointClouds, np.ndarray]:
    """The molecules that have atoms, finite positions and known elements; and their rows [M]."""
    foreign = ~np.isin(molecules.atomic_numbers, elements)
    unplaced = ~np.isfinite(molecules.positions).all(axis=1)
    rows = np.flatnonzero((molecules.atom_counts > 0) & ~molecules.any_atom(foreign | unplaced))
    chosen = molecules.take(rows)
    positions = chosen.positions.astype(np.float64)
    if len(rows):
        sums = np.add.reduceat(positions, chosen.atom_offsets[:-1], axis=0)
        positions -= (sums / chosen.atom_counts[:, None])[chosen.molecule_of_atom]
    flat = positions.astype(np.float32), np.searchsorted(elements, chosen.atomic_numbers).astype(np.uint8)
    ragged = (RaggedTensor(torch.from_numpy(values), chosen.atom_offsets) for values in flat)
    return PointClouds(*ragged, tuple(elements)), rows


def to_molecules(clouds: PointCloudBatch) -> list[Molecule]:
    """Molecules without bonds: a point cloud claims none, so whoever needs them perceives them."""
    numbers, positions = clouds.atomic_numbers().cpu().numpy(), clouds.positions.float().cpu().numpy()
    sizes: Iterable[int] = clouds.sizes.tolist()
    return [Molecule(z[:n].astype(np.uint8), x[:n]) for z, x, n in zip(numbers, positions, sizes, strict=True)]


def centre(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """x [B, N, D] less its mean over atoms; zero at padding [B, N]."""
    weight = mask[..., None].to(x.dtype)
    return (x - (x * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)) * weight
