"""Fréchet ChemNet distance (Preuer et al. 2018) by the package fcd, whose weights come with it.

Other implementations differ in weights, padding and canonicalisation: name this one beside its values.
"""

import warnings
from collections.abc import Sequence
from types import ModuleType

import numpy as np
from scipy.linalg import eigh

from latent3d.base.errors import UserError
from latent3d.base.progress import Progress

WIDTH = 512
"""Numbers that ChemNet gives per molecule."""

_PADDING = 350
_CHUNK = 500

Statistics = tuple[np.ndarray, np.ndarray]
"""Mean [512] and covariance [512, 512] of activations."""


def activations(smiles: Sequence[str], label: str = "") -> np.ndarray:
    """[N, 512] float32 activations of ChemNet's last hidden layer, one row per SMILES whatever it holds.

    Each row depends, but for rounding, on its own SMILES alone. SMILES are made canonical by RDKit as the package does;
    what RDKit cannot parse is taken as written. Stereochemistry counts if it is written: leave it out of both sets or
    of none. Characters that ChemNet does not know (`/`, `%`, `9`, elements such as Se) become its symbol for the
    unknown. ChemNet sees 350 characters padded with zeros; a longer SMILES is padded to its own length instead, as the
    package does.

    Runs on the CPU, in this process, on as many threads as torch has: about 2.5 s per 1,000 molecules on one. More
    threads than idle cores are many times slower.

    Args:
        smiles: N SMILES.
        label: name of the progress line on stderr; none if empty.

    Raises:
        UserError: the package fcd is not installed.
    """
    package = _package()
    written = [package.utils.canonical(text) or text for text in smiles]
    # The package pads a whole list to its longest SMILES, so a long one goes alone.
    short = [i for i, text in enumerate(written) if len(text) < _PADDING]
    groups = [short[start : start + _CHUNK] for start in range(0, len(short), _CHUNK)]
    groups += [[i] for i, text in enumerate(written) if len(text) >= _PADDING]
    values, model = np.empty((len(written), WIDTH), np.float32), package.load_ref_model()
    progress, done = Progress(label, len(written), "molecules"), 0
    for group in groups:
        with warnings.catch_warnings():
            # The package calls the deprecated np.row_stack, and warns of lengths beyond 350, which are meant.
            warnings.simplefilter("ignore")
            values[group] = package.get_predictions(model, [written[i] for i in group], n_jobs=0, device="cpu")
        done += len(group)
        progress.show(done)
    progress.end()
    return values


def statistics(values: np.ndarray) -> Statistics | None:
    """Mean and covariance (in double precision, divisor N - 1) of activations [N, 512]; None for fewer than two."""
    if len(values) < 2:
        return None
    values = values.astype(np.float64)
    return values.mean(axis=0), np.cov(values, rowvar=False)


def frechet_distance(samples: Statistics | None, reference: Statistics | None) -> float | None:
    """Squared Fréchet distance ‖μ₁-μ₂‖² + tr(Σ₁ + Σ₂ - 2(Σ₁Σ₂)^½) of two Gaussians; None if either is missing.

    The trace of the root is the sum of the roots of the eigenvalues of Σ₁^½Σ₂Σ₁^½. Unlike a general matrix root, which
    the package takes, this needs no correction for singular covariances (fewer than 513 molecules) and is faster.
    """
    if samples is None or reference is None:
        return None
    (mean, covariance), (other_mean, other_covariance) = samples, reference
    eigenvalues, vectors = eigh(covariance)
    root = vectors * np.sqrt(eigenvalues.clip(0)) @ vectors.T
    roots = np.sqrt(eigh(root @ other_covariance @ root, eigvals_only=True).clip(0))
    shift = mean - other_mean
    # Rounding leaves equal sets at about -1e-11.
    return max(0.0, float(shift @ shift + np.trace(covariance + other_covariance) - 2 * roots.sum()))


def _package() -> ModuleType:
    """The package fcd, imported when it is needed: it brings torch, which no other metric of samples needs."""
    try:
        import fcd
    except ImportError as error:
        raise UserError("fcd is not installed. Install the extra: pip install 'latent3d[score]'.") from error
    return fcd
