"""Optimal superposition of two geometries by a proper rotation (Kabsch 1976, 1978)."""

import numpy as np


def kabsch_rmsd(reference: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """RMSD after the optimal proper rotation (Kabsch 1976, 1978).

    Args:
        reference: [N, 3].
        predicted: [K, N, 3].

    Returns:
        [K].
    """
    x = reference - reference.mean(axis=0)
    y = predicted - predicted.mean(axis=1, keepdims=True)
    covariance = np.einsum("kni,nj->kij", y, x)
    singular = np.linalg.svd(covariance, compute_uv=False)  # [K, 3]
    # A negative determinant means that a reflection would align better: the smallest value then counts against.
    trace = singular[:, 0] + singular[:, 1] + np.sign(np.linalg.det(covariance)) * singular[:, 2]
    squared = (x**2).sum() + (y**2).sum(axis=(1, 2)) - 2 * trace
    return np.sqrt(squared.clip(min=0) / len(x))


def kabsch_align(reference: np.ndarray, predicted: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """`predicted` [N, 3] moved by the proper rotation that best lays `fitted` [K, 3] on `reference` [K, 3]."""
    u, _, vt = np.linalg.svd((fitted - fitted.mean(axis=0)).T @ (reference - reference.mean(axis=0)))
    u[:, 2] *= np.sign(np.linalg.det(u @ vt))
    return (predicted - fitted.mean(axis=0)) @ u @ vt + reference.mean(axis=0)
