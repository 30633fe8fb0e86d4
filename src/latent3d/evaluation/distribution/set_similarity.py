"""Similarity of sets of molecules, as MOSES defines it (Polykovskiy et al. 2020), and parts that are new."""

from collections.abc import Container, Mapping

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

_BITS = 2048
FINGERPRINT_BYTES = _BITS // 8

_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=_BITS)


def fingerprint(mol: Chem.Mol) -> np.ndarray:
    """[256] uint8, the packed bits of the Morgan fingerprint (radius 2, 2048 bits) of a sanitised molecule."""
    return np.packbits(_MORGAN.GetFingerprintAsNumPy(mol))


def nearest_similarities(samples: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """[N] Tanimoto similarity of each sample to the nearest molecule of the reference.

    Args:
        samples: [N, 256] uint8 fingerprints with at least one bit each.
        reference: [R, 256] uint8, R at least 1.
    """
    theirs = _words(reference)
    bits = _count_bits(theirs)
    return np.array([_tanimoto(words, theirs, bits).max() for words in _words(samples).T])


def internal_diversity(fingerprints: np.ndarray) -> float | None:
    """1 - mean Tanimoto similarity of all pairs (i, j) of N molecules, i = j included; None without molecules.

    Args:
        fingerprints: [N, 256] uint8 with at least one bit each.
    """
    n = len(fingerprints)
    if not n:
        return None
    words = _words(fingerprints)
    bits = _count_bits(words)
    later = sum(_tanimoto(words[:, i], words[:, i + 1 :], bits[i + 1 :]).sum() for i in range(n - 1))
    return float(1 - (n + 2 * later) / n**2)


def cosine_similarity(samples: Mapping[str, int], reference: Mapping[str, int]) -> float | None:
    """Cosine of two vectors of counts, by name; None if either has none. As in MOSES, '' (no scaffold) is left out."""
    ours, theirs = ({name: count for name, count in counts.items() if name} for counts in (samples, reference))
    norms = [np.linalg.norm(list(counts.values())) for counts in (ours, theirs)]
    if not all(norms):
        return None
    return float(sum(count * theirs.get(name, 0) for name, count in ours.items()) / np.prod(norms))


def unseen_share(samples: Mapping[str, int], reference: Container[str]) -> float | None:
    """Share of all parts of the samples, counted as often as they occur, that the reference lacks; None without any."""
    total = sum(samples.values())
    if not total:
        return None
    return sum(count for name, count in samples.items() if name not in reference) / total


def _words(fingerprints: np.ndarray) -> np.ndarray:
    """[32, N] uint64: one row per word, so that a word of one molecule meets that word of all others in one sweep."""
    return np.ascontiguousarray(np.ascontiguousarray(fingerprints).view(np.uint64).T)


def _count_bits(words: np.ndarray) -> np.ndarray:
    return np.bitwise_count(words).sum(axis=0)


def _tanimoto(one: np.ndarray, many: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """[N] Tanimoto similarity of the fingerprint `one` [32] to each of `many` [32, N], which have `bits` [N] bits."""
    shared = np.zeros(len(bits), np.uint16)
    for word in np.flatnonzero(one):
        shared += np.bitwise_count(many[word] & one[word])
    return shared / (_count_bits(one) + bits - shared)
