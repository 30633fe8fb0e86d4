"""Optimal superposition of two geometries by a proper rotation (Kabsch 1976, 1978)."""

import numpy as np


def kabsch_rmsd(mobile: np.ndarray, target: np.ndarray) -> np.ndarray:
    """[K] RMSD of each of `mobile` [K, N, 3] to `target` [N, 3] after the optimal proper rotation."""
    x = target - target.mean(axis=0)
    y = mobile - mobile.mean(axis=1, keepdims=True)
    covariance = np.einsum("kni,nj->kij", y, x)
    singular = np.linalg.svd(covariance, compute_uv=False)  # [K, 3]
    # A negative determinant means that a reflection would align better: the smallest value then counts against.
    trace = singular[:, 0] + singular[:, 1] + np.sign(np.linalg.det(covariance)) * singular[:, 2]
    squared = (x**2).sum() + (y**2).sum(axis=(1, 2)) - 2 * trace
    return np.sqrt(squared.clip(min=0) / len(x))


def kabsch_align(mobile: np.ndarray, target: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`mobile` [N, 3] rotated and moved so that its `rows` [K] lie best on `target` [K, 3]: [N, 3]."""
    fitted = mobile[rows]
    u, _, vt = np.linalg.svd((fitted - fitted.mean(axis=0)).T @ (target - target.mean(axis=0)))
    u[:, 2] *= np.sign(np.linalg.det(u @ vt))
    return (mobile - fitted.mean(axis=0)) @ u @ vt + target.mean(axis=0)
