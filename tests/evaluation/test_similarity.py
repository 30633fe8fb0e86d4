from collections import Counter

import numpy as np
import pytest
from mini_smiles import mini_smiles
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator
from scipy.spatial.distance import cosine

from latent3d.evaluation.distribution.set_similarity import (
    FINGERPRINT_BYTES,
    cosine_similarity,
    fingerprint,
    internal_diversity,
    nearest_similarities,
    unseen_share,
)


def fingerprints(smiles):
    return np.array([fingerprint(Chem.MolFromSmiles(s)) for s in smiles])


@pytest.fixture(scope="module")
def rdkit_similarities():
    """SMILES and all their pairwise similarities by RDKit itself."""
    smiles = mini_smiles(150)
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    vectors = [generator.GetFingerprint(Chem.MolFromSmiles(s)) for s in smiles]
    return smiles, np.array([DataStructs.BulkTanimotoSimilarity(vector, vectors) for vector in vectors])


def test_equal_to_rdkits_similarities(rdkit_similarities):
    smiles, expected = rdkit_similarities
    own = fingerprints(smiles)
    assert own.shape == (150, FINGERPRINT_BYTES) and own.dtype == np.uint8
    nearest = nearest_similarities(own[:60], own[60:])
    np.testing.assert_allclose(nearest, expected[:60, 60:].max(axis=1), rtol=1e-12)
    assert internal_diversity(own) == pytest.approx(1 - expected.mean())


def test_copies_are_nearest_to_themselves():
    own = fingerprints(mini_smiles(50))
    assert nearest_similarities(own[::-1], own).tolist() == [1.0] * 50


def test_the_order_of_atoms_and_stereochemistry_do_not_count():
    first, second, third = fingerprints(["C[C@H](O)C(=O)N", "NC(=O)[C@H](O)C", "CC(O)C(N)=O"])
    assert (first == second).all() and (first == third).all()


def test_fingerprints_with_many_bits_in_common():
    own = np.full((2, FINGERPRINT_BYTES), 255, np.uint8)
    own[1, 128:] = 0
    assert nearest_similarities(own[:1], own[1:]).tolist() == [0.5]
    assert internal_diversity(own) == pytest.approx(1 - (1 + 1 + 0.5 + 0.5) / 4)


def test_internal_diversity_of_few():
    assert internal_diversity(np.zeros((0, FINGERPRINT_BYTES), np.uint8)) is None
    assert internal_diversity(fingerprints(["CCO"])) == 0
    assert internal_diversity(fingerprints(["CCO", "CCO"])) == 0


def test_cosine_by_scipy():
    ours, theirs = Counter(a=3, b=1, c=5), Counter(b=2, c=4, d=7)
    assert cosine_similarity(ours, theirs) == pytest.approx(1 - cosine([3, 1, 5, 0], [0, 2, 4, 7]))
    assert cosine_similarity(ours, Counter({name: 9 * n for name, n in ours.items()})) == pytest.approx(1)
    assert cosine_similarity(ours, Counter(d=1)) == 0


def test_molecules_without_scaffold_do_not_count():
    assert cosine_similarity(Counter({"": 99, "a": 1}), Counter(a=2)) == 1
    assert cosine_similarity(Counter({"": 99}), Counter(a=2)) is None
    assert cosine_similarity(Counter(), Counter(a=2)) is None


def test_large_counts_do_not_overflow():
    assert cosine_similarity(Counter(a=2**40, b=2**40), Counter(a=2**40)) == pytest.approx(np.sqrt(0.5))


def test_unseen_parts_count_as_often_as_they_occur():
    assert unseen_share(Counter(a=3, b=1), Counter(a=1)) == 0.25
    assert unseen_share(Counter(a=3), Counter(a=1)) == 0
    assert unseen_share(Counter(), Counter(a=1)) is None
