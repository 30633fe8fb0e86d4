import numpy as np
import pytest

from latent3d.metrics.distributions import energy_per_atom_wasserstein


def test_wasserstein_is_in_kcal_per_mol():
    energies = np.array([-1.0, -2.0, -3.0])
    assert energy_per_atom_wasserstein(energies, energies[::-1]) == 0
    assert energy_per_atom_wasserstein(energies + 0.01, energies) == pytest.approx(6.275094740631)
    # Failures are not values; sizes may differ.
    assert energy_per_atom_wasserstein([-1.0, np.nan], [-1.0, -1.0, np.nan]) == 0
    assert energy_per_atom_wasserstein([np.nan], [-1.0]) is None
    assert energy_per_atom_wasserstein([], [-1.0]) is None
