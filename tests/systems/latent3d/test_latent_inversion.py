"""Molecules to the noise of the released diffusions of their latents, and back: the same molecules."""

import numpy as np
import pandas as pd
import pytest

from latent3d.commands.release import released_weights
from latent3d.data.molecules.molecules import from_list
from latent3d.diffusion.guidance import Autoguided
from latent3d.diffusion.samplers import invert, sample
from latent3d.graphs.conformers import encode_conformers, read_conformers
from latent3d.systems.latent3d.conformers import decode_conformers
from latent3d.systems.latent3d.models import load_geometry, load_topology
from latent3d.systems.latent3d.topology import encode_graphs
from latent3d.systems.loading import load_prior

SMILES = ["CC(=O)OCC", "C1CC1CO", "N#CCC=O", "c1ccoc1", "CC(C)(C)O", "OCC1CN1", "C1CCOC1", "CNC(C)=O", "C#CCCO"]


@pytest.fixture(scope="module")
def weights():
    return released_weights("latent3d", "qm9_cpu")


@pytest.fixture(scope="module")
def conformers(from_smiles):
    return read_conformers(from_list([from_smiles(s) for s in SMILES], pd.DataFrame({"id": SMILES})))


@pytest.fixture(scope="module")
def latents(weights, conformers):
    """z_2d and z_3d of the molecules."""
    topology, geometry = load_topology(weights["topology"], "cpu"), load_geometry(weights["geometry"], "cpu")
    return encode_graphs(topology, conformers.graphs), encode_conformers(geometry, conformers)


def round_trip(model, x0, steps, fixed_points, condition=None):
    noise = invert(model, x0, steps, condition, fixed_points)
    return noise, sample(model, lambda: noise, steps, "ddim", condition)


def error(model, x0, steps, fixed_points, condition=None):
    """Root mean square error of a round trip, in standard deviations of the latents."""
    return (round_trip(model, x0, steps, fixed_points, condition)[1] - x0).square().mean().sqrt().item()


@pytest.mark.parametrize("code", ["2d", "3d"])
def test_latents_come_back_the_nearer_the_more_steps_and_iterations(code, weights, latents):
    prior, (z_2d, z_3d) = load_prior(weights[f"diffusion_{code}"], "cpu"), latents
    condition = prior.condition(z_2d) if code == "3d" else None
    x0 = prior.latents(z_2d if code == "2d" else z_3d)
    assert error(prior.model, x0, 25, 1, condition) > 3 * error(prior.model, x0, 100, 1, condition)
    noise, back = round_trip(prior.model, x0, 50, 5, condition)
    assert (back - x0).square().mean().sqrt() < 2e-3
    assert noise.std().item() == pytest.approx(1, abs=0.1)  # where the noise of samples comes from
    assert noise.mean().item() == pytest.approx(0, abs=0.1)


def test_the_same_molecules_come_back(weights, conformers, latents):
    def returned(code, z, condition=None):
        prior = load_prior(weights[f"diffusion_{code}"], "cpu")
        condition = None if condition is None else prior.condition(condition)
        return prior.latents.restore(round_trip(prior.model, prior.latents(z), 50, 3, condition)[1])

    z_2d, z_3d = latents
    topology, geometry = load_topology(weights["topology"], "cpu"), load_geometry(weights["geometry"], "cpu")
    for before, after in zip(*(topology.decode(z).molecules() for z in (z_2d, returned("2d", z_2d))), strict=True):
        np.testing.assert_array_equal(before.atomic_numbers, after.atomic_numbers)
        np.testing.assert_array_equal(before.bonds, after.bonds)
        np.testing.assert_array_equal(before.bond_orders, after.bond_orders)
    both = (decode_conformers(geometry, conformers.graphs, z) for z in (z_3d, returned("3d", z_3d, z_2d)))
    for before, after in zip(*both, strict=True):
        np.testing.assert_allclose(before.positions, after.positions, atol=1e-3)  # angstrom


def test_a_guided_diffusion_is_inverted_as_well(weights, latents):
    prior, guide = (load_prior(weights[f"{stage}_2d"], "cpu") for stage in ("diffusion", "guide"))
    guided, x0 = Autoguided(prior.model, guide.model, 1.5), prior.latents(latents[0])
    assert error(guided, x0, 50, 10) < 1e-3 < error(guided, x0, 50, 1)
