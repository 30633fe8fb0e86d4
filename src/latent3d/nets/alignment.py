"""Optimal superposition of point sets by a proper rotation."""

import torch

from latent3d.nets.precision import full_precision


def kabsch_align(mobile: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """`mobile` rotated and moved onto `target` (proper rotation, least squares): [B, N, 3], padding at zero.

    As `data.molecules.alignment.kabsch_align`, for batches. Horn's quaternion method (J. Opt. Soc. Am. A 4, 629, 1987):
    the rotation is the leading eigenvector of a symmetric 4x4 matrix. It is found by squaring the matrix, which needs
    no SVD (slow in batches on a GPU). No gradient flows through the rotation.

    Args:
        mobile: [B, N, 3].
        target: [B, N, 3].
        mask: [B, N] True for atoms.
    """
    weight = mask[..., None].to(target.dtype)
    count = weight.sum(1, keepdim=True).clamp(min=1)
    centre = (target * weight).sum(1, keepdim=True) / count
    mobile = (mobile - (mobile * weight).sum(1, keepdim=True) / count) * weight
    with torch.no_grad():
        rotation = _rotation(mobile.double(), ((target - centre) * weight).double()).to(target.dtype)
    with full_precision(mobile):
        return (mobile @ rotation.transpose(1, 2) + centre) * weight


def aligned_square_error(predicted: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """[B] mean square distance after the target was laid on the prediction, angstrom^2."""
    square = ((kabsch_align(target, predicted, mask) - predicted) ** 2).sum(-1) * mask
    return square.sum(1) / mask.sum(1)


def _rotation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """[B, 3, 3] proper rotation R that minimises |R a - b|^2 for centred a, b [B, N, 3]."""
    s = a.transpose(1, 2) @ b  # [B, 3, 3]
    xx, xy, xz, yx, yy, yz, zx, zy, zz = s.flatten(1).unbind(1)
    n = torch.stack(
        [
            torch.stack([xx + yy + zz, yz - zy, zx - xz, xy - yx], 1),
            torch.stack([yz - zy, xx - yy - zz, xy + yx, zx + xz], 1),
            torch.stack([zx - xz, xy + yx, -xx + yy - zz, yz + zy], 1),
            torch.stack([xy - yx, zx + xz, yz + zy, -xx - yy + zz], 1),
        ],
        1,
    )
    scale = n.abs().sum((1, 2), keepdim=True).clamp(min=1e-12)
    # Shifting by the norm makes the wanted eigenvalue the largest in magnitude; 2^16 power iterations by 16 squarings.
    m = n / scale + torch.eye(4, dtype=n.dtype, device=n.device)
    for _ in range(16):
        m = m @ m
        m = m / m.abs().amax((1, 2), keepdim=True).clamp(min=1e-30)
    column = m.abs().sum(1).argmax(1)
    q = torch.gather(m, 2, column[:, None, None].expand(-1, 4, 1))[..., 0]
    return rotation_matrix(q)


def rotation_matrix(q: torch.Tensor) -> torch.Tensor:
    """[B, 3, 3] rotations of quaternions [B, 4] of any length but zero."""
    w, x, y, z = (q / q.norm(dim=1, keepdim=True).clamp(min=1e-30)).unbind(1)
    return torch.stack(
        [
            torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], 1),
            torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], 1),
            torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], 1),
        ],
        1,
    )
