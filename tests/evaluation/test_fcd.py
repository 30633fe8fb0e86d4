import sys

import fcd as package
import numpy as np
import pytest
from mini_smiles import mini_smiles
from scipy.linalg import sqrtm

from latent3d.base.errors import UserError
from latent3d.evaluation.distribution.chemnet import WIDTH, activations, frechet_distance, statistics


@pytest.fixture(scope="module")
def activated():
    smiles = mini_smiles(120)
    return smiles, activations(smiles)


@pytest.mark.filterwarnings("ignore:.*row_stack:DeprecationWarning")
def test_activations_are_the_packages(activated):
    smiles, own = activated
    expected = package.get_predictions(package.load_ref_model(), smiles, n_jobs=0, device="cpu")
    assert own.shape == (120, WIDTH) and own.dtype == np.float32
    np.testing.assert_allclose(own, expected, atol=1e-6)


def test_activations_do_not_depend_on_how_a_molecule_is_written_or_on_its_neighbours(activated):
    smiles, own = activated
    np.testing.assert_allclose(activations(["OCC", "CCN", "C(C)O"])[[0, 2]], activations(["CCO"] * 2), atol=1e-6)
    np.testing.assert_allclose(activations(smiles[::-1][:30]), own[::-1][:30], atol=1e-6)


def test_long_and_unreadable_smiles_have_a_row_of_their_own():
    odd = ["C" * 349, "C" * 350, "C" * 1001, "C/C=C/C", "C[Se]C", "C1CC%10CC1CC%10", "not a molecule", ""]
    values = activations(["CCO", *odd, "CCN"])
    assert values.shape == (10, WIDTH)
    assert np.isfinite(values).all()
    assert len(np.unique(values, axis=0)) == 10
    np.testing.assert_allclose(values[[0, -1]], activations(["CCO", "CCN"]), atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*row_stack:DeprecationWarning", "ignore:Padding lengths:UserWarning")
def test_a_long_smiles_is_padded_as_by_the_package():
    smiles = "C" * 360 + "O"
    expected = package.get_predictions(package.load_ref_model(), [smiles], n_jobs=0, device="cpu")
    np.testing.assert_allclose(activations([smiles]), expected, atol=1e-6)


def test_no_smiles():
    assert activations([]).shape == (0, WIDTH)
    assert statistics(activations([])) is None
    assert statistics(activations(["CCO"])) is None
    assert frechet_distance(None, statistics(np.eye(3))) is None


def test_distance_of_gaussians_on_a_line():
    first, second = (np.array([1.0]), np.array([[4.0]])), (np.array([4.0]), np.array([[9.0]]))
    assert frechet_distance(first, second) == pytest.approx(3**2 + (2 - 3) ** 2)


def test_distance_is_that_of_a_general_matrix_root():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(2, 20, 20))
    first, second = (statistics(rng.normal(size=(300, 20)) @ m + m[0]) for m in mix)
    root = sqrtm(first[1] @ second[1]).real
    expected = np.sum((first[0] - second[0]) ** 2) + np.trace(first[1] + second[1] - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(expected)
    assert frechet_distance(second, first) == pytest.approx(expected)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)


def test_singular_covariances():
    """Two points on each of two lines: the covariances have rank one and the distance is known."""
    first = statistics(np.array([[-1.0, 0, 0], [1, 0, 0]]))
    second = statistics(np.array([[0.0, -1, 0], [0, 1, 0]]))
    assert frechet_distance(first, second) == pytest.approx(2 + 2)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)


@pytest.mark.filterwarnings("ignore:.*row_stack:DeprecationWarning", "ignore:.*disp:DeprecationWarning")
def test_distance_is_the_packages():
    first, second = mini_smiles(200)[:100], mini_smiles(200)[100:]
    own = frechet_distance(statistics(activations(first)), statistics(activations(second)))
    assert own == pytest.approx(package.get_fcd(first, second, device="cpu"), abs=1e-5)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fcd", None)
    with pytest.raises(UserError, match=r"fcd is not installed.*latent3d\[score\]"):
        activations(["CCO"])
