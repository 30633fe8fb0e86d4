"""What systems of point clouds train on, and what their weights files say of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from latent3d.data.molecules.molecules import Molecules
from latent3d.diffusion.points import random_rotations
from latent3d.graphs.point_clouds import PointCloudBatch, PointClouds, elements_of, read_clouds


def training_clouds(data: Molecules) -> PointClouds:
    """The training molecules of a dataset, with the elements that occur in them."""
    molecules = data.split("train")
    return read_clouds(molecules, elements_of(molecules))[0]


def described(clouds: PointClouds) -> dict[str, Any]:
    """Elements and how many molecules have how many atoms, for a weights file."""
    values, counts = np.unique(clouds.sizes, return_counts=True)
    return {"elements": clouds.elements, "sizes": {str(n): int(c) for n, c in zip(values, counts, strict=True)}}


def sizes_in(metadata: Mapping[str, Any]) -> dict[int, int]:
    """How many training molecules have how many atoms, as a weights file says."""
    return {int(atoms): count for atoms, count in metadata["sizes"].items()}


def batch_of(clouds: PointClouds, rows: torch.Tensor, turn: bool, generator: torch.Generator) -> PointCloudBatch:
    """Rows of the training molecules, randomly turned if asked for."""
    batch = clouds.padded(rows)
    return batch.rotated(random_rotations(len(rows), generator)) if turn else batch
