import numpy as np
import pytest

from latent3d.metrics.distributions import energy_per_atom_wasserstein
from latent3d.metrics.intervals import wilson


# Newcombe, Statistics in Medicine 1998, 17, 857, table I, method 3 (score without continuity correction).
@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_equals_published_values(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)
    assert wilson(n - successes, n) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_wilson_refuses_what_is_no_rate():
    for successes, n in ((1, 0), (-1, 5), (6, 5)):
        with pytest.raises(ValueError):
            wilson(successes, n)


def test_wasserstein_is_in_kcal_per_mol():
    energies = np.array([-1.0, -2.0, -3.0])
    assert energy_per_atom_wasserstein(energies, energies[::-1]) == 0
    assert energy_per_atom_wasserstein(energies + 0.01, energies) == pytest.approx(6.275094740631)
    # Failures are not values; sizes may differ.
    assert energy_per_atom_wasserstein([-1.0, np.nan], [-1.0, -1.0, np.nan]) == 0
    assert energy_per_atom_wasserstein([np.nan], [-1.0]) is None
    assert energy_per_atom_wasserstein([], [-1.0]) is None
