"""Distances between distributions of bond lengths, angles and torsions."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bonded_chains import chain
from scipy.stats import wasserstein_distance

from latent3d.data.molecules.molecules import Molecule, Molecules, from_list
from latent3d.data.molecules.parquet import read_parquet
from latent3d.data.records import concatenate
from latent3d.evaluation import registry
from latent3d.evaluation.geometry.histograms import (
    ANGLES,
    KAPPAS,
    KERNEL_WIDTHS,
    LENGTHS,
    MIN_DEVIATION,
    MIN_OCCURRENCES,
    TORSIONS,
    GeometryHistogram,
    distances,
    measure,
    merge,
)

pytestmark = pytest.mark.filterwarnings("error")

MINI = Path(__file__).parents[2] / "resources" / "mini.parquet"
NAMES = ("bond_length", "bond_angle", "torsion")


def counted(molecules: Molecules) -> GeometryHistogram:
    """All molecules, with the bond orders as kinds."""
    return measure(molecules, molecules.bond_orders, np.ones(len(molecules), bool))


def chains(elements: Sequence[int], positions: np.ndarray) -> Molecules:
    """One chain per entry of `positions` [M, N, 3]."""
    return from_list([chain(elements, x) for x in positions])


def with_lengths(values: Sequence[float], elements: tuple[int, int] = (1, 1)) -> Molecules:
    """One diatomic molecule per bond length."""
    return chains(elements, np.asarray(values, float)[:, None, None] * np.array([[0, 0, 0], [0.6, 0, 0.8]]))


def with_angles(values: Sequence[float]) -> Molecules:
    """One water molecule per angle."""
    a, zero = np.radians(values), np.zeros(len(values))
    positions = [[zero + 1, zero, zero], [zero] * 3, [np.cos(a), np.sin(a), zero]]
    return chains((1, 8, 1), np.moveaxis(np.array(positions), 2, 0))


def with_torsions(values: Sequence[float]) -> Molecules:
    """One hydrogen peroxide molecule per torsion."""
    a, zero = np.radians(values), np.zeros(len(values))
    positions = [[zero + 1, zero, zero], [zero] * 3, [zero, zero, zero + 1.4], [np.cos(a), np.sin(a), zero + 1.4]]
    return chains((1, 8, 8, 1), np.moveaxis(np.array(positions), 2, 0))


WATERS = with_angles([104.0] * 30)
BUILD = dict(zip(NAMES, (with_lengths, with_angles, with_torsions), strict=True))
GRIDS = dict(zip(NAMES, (LENGTHS, ANGLES, TORSIONS), strict=True))


def compared(name: str, samples: Sequence[float], reference: Sequence[float]) -> dict[str, float | None]:
    """The distances of `name` between two sets of values."""
    found = distances(counted(BUILD[name](samples)), counted(BUILD[name](reference)))
    return {metric: found[f"{name}_{metric}"] for metric in ("wasserstein", "mmd", "coverage")}


def values(name: str, size: int, seed: int, shift: float = 0) -> np.ndarray:
    """Random values as they occur; torsions with two modes and around the cut at 180 degrees."""
    r = np.random.default_rng(seed)
    if name == "torsion":
        return (np.where(r.random(size) < 0.7, 170, -60) + shift + 25 * r.normal(size=size) + 180) % 360 - 180
    return {"bond_length": 1.4, "bond_angle": 109}[name] * (1 + 0.02 * shift / 10 + 0.02 * r.normal(size=size))


def assert_equal(histogram: GeometryHistogram, other: GeometryHistogram) -> None:
    """Equal to the last count."""
    ours, theirs = histogram.to_arrays(), other.to_arrays()
    assert list(ours) == list(theirs)
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name])


@pytest.fixture(scope="module")
def mini() -> Molecules:
    """Every third molecule of mini."""
    molecules = read_parquet(MINI)
    return molecules.take(np.arange(0, len(molecules), 3))


def test_names_are_those_of_the_registry() -> None:
    found = distances(counted(with_torsions([60.0] * 40)), counted(with_torsions([60.0] * 40)))
    assert list(found) == [quantity.name for quantity in registry.GEOMETRY]


@pytest.mark.parametrize("name", ["bond_length", "bond_angle"])
def test_wasserstein_is_that_of_scipy(name: str) -> None:
    samples, reference = values(name, 57, 0, shift=7), values(name, 80, 1)
    expected = wasserstein_distance(samples, reference)
    assert expected > 10 * GRIDS[name].step
    assert compared(name, samples, reference)["wasserstein"] == pytest.approx(expected, abs=GRIDS[name].step)


@pytest.mark.parametrize("shift", [0, 40, 130])
def test_circular_wasserstein_is_the_best_assignment(shift: float) -> None:
    samples, reference = values("torsion", 90, 0, shift), values("torsion", 90, 1)
    # On a circle the best assignment keeps the cyclic order, so one of the shifts of the sorted values is it.
    x, y = np.sort(samples), np.sort(reference)
    apart = [np.abs((np.roll(x, k) - y + 180) % 360 - 180).mean() for k in range(len(x))]
    assert compared("torsion", samples, reference)["wasserstein"] == pytest.approx(min(apart), abs=TORSIONS.step)


@pytest.mark.parametrize(
    ("name", "samples", "reference"),
    [
        *((name, values(name, 35, 0, 7), values(name, 50, 1)) for name in NAMES),
        ("bond_angle", [1.0, 2.0, 178.0], [0.5] * 20 + [180.0] * 20),  # the ends of a grid that is no circle
    ],
)
def test_mmd_is_that_of_a_double_loop(name: str, samples: Sequence[float], reference: Sequence[float]) -> None:
    grid = GRIDS[name]
    samples, reference = (grid.step * np.rint(np.asarray(x) / grid.step) for x in (samples, reference))
    deviation = max(reference.std(), MIN_DEVIATION * grid.step)

    def kernel(a: float, b: float) -> float:
        if name == "torsion":
            return float(np.mean([np.exp(kappa * (np.cos(np.radians(a - b)) - 1)) for kappa in KAPPAS]))
        return float(np.mean([np.exp(-0.5 * ((a - b) / (width * deviation)) ** 2) for width in KERNEL_WIDTHS]))

    def within(v: np.ndarray) -> float:
        return np.mean([kernel(v[i], v[j]) for i in range(len(v)) for j in range(len(v)) if i != j])

    expected = within(samples) + within(reference) - 2 * np.mean([kernel(a, b) for a in samples for b in reference])
    assert compared(name, samples, reference)["mmd"] == pytest.approx(expected, abs=1e-9)
    # A single value has no pairs: it counts as compared with itself.
    single = 1 + within(reference) - 2 * np.mean([kernel(samples[0], b) for b in reference])
    assert compared(name, samples[:1], reference)["mmd"] == pytest.approx(single, abs=1e-9)


def test_mmd_of_rigid_types_uses_the_least_kernel_width() -> None:
    # Two points 0.004 Å apart, one least standard deviation.
    expected = 2 - 2 * np.mean([np.exp(-0.5 / width**2) for width in KERNEL_WIDTHS])
    assert compared("bond_length", [1.104] * 40, [1.1] * 40)["mmd"] == pytest.approx(expected)


def test_torsions_are_periodic() -> None:
    assert compared("torsion", [179.9] * 40, [-179.9] * 40)["wasserstein"] <= TORSIONS.step
    assert compared("torsion", [170.0] * 40, [-170.0] * 40)["wasserstein"] == pytest.approx(20)
    angles = np.arange(-180, 180, 0.37)
    for turns in (-720, -360, 360):
        np.testing.assert_array_equal(TORSIONS.nearest(angles + turns), TORSIONS.nearest(angles))
    samples, reference = values("torsion", 60, 0), values("torsion", 60, 1)
    expected = compared("torsion", samples, reference)
    turned = compared("torsion", samples + 123, reference + 123)  # wherever the cut lies
    assert turned["wasserstein"] == pytest.approx(expected["wasserstein"], abs=TORSIONS.step)
    assert turned["mmd"] == pytest.approx(expected["mmd"], abs=2e-3)


def test_negative_torsions_are_not_their_mirror_images() -> None:
    assert compared("torsion", [-30.0] * 40, [30.0] * 40)["wasserstein"] == pytest.approx(60)
    assert compared("torsion", [-30.0] * 40, [30.0] * 40)["mmd"] > 0.5


def test_one_handedness_is_told_from_the_other(from_smiles: Callable[[str], Molecule], rotation: np.ndarray) -> None:
    one = from_list([from_smiles("N[C@@H](C)C(=O)O")] * 40)
    mirrored = one.with_positions(one.positions @ -rotation)
    found = distances(counted(mirrored), counted(one))
    assert max(found["bond_length_wasserstein"], found["bond_angle_wasserstein"] / 90) < 1e-3
    assert found["torsion_wasserstein"] > 15


def test_types_weigh_by_frequency_in_the_reference_and_absent_ones_cost_the_cap() -> None:
    reference = counted(concatenate([with_lengths([0.75] * 90), with_lengths([1.1] * 60, (1, 6)), WATERS]))
    samples = counted(concatenate([with_lengths([0.76] * 5), with_lengths([1.15] * 700, (6, 1))]))
    found = distances(samples, reference)
    # 60 O-H bonds of the 210 are missing.
    expected = (90 * 0.01 + 60 * 0.05 + 60 * 1.0) / 210
    assert found["bond_length_wasserstein"] == pytest.approx(expected)
    assert found["bond_length_coverage"] == pytest.approx(150 / 210)
    assert (found["bond_angle_wasserstein"], found["bond_angle_mmd"], found["bond_angle_coverage"]) == (90, 1, 0)
    assert [found[f"torsion_{metric}"] for metric in ("wasserstein", "mmd", "coverage")] == [None] * 3


def test_wrong_values_cost_no_more_than_none() -> None:
    assert compared("torsion", [180.0] * 40, [0.0] * 40) == {"wasserstein": 90, "mmd": 1, "coverage": 1}
    assert compared("bond_length", [50.0] * 40, [1.0] * 40) == {"wasserstein": 1, "mmd": 1, "coverage": 1}


def test_long_bonds_count_as_4_angstrom() -> None:
    samples = [1.0] * 8 + [10.0, 1e35]
    assert compared("bond_length", samples, [1.0] * 40)["wasserstein"] == pytest.approx(0.6)


def test_samples_with_nothing_to_measure_get_the_caps() -> None:
    nothing = measure(WATERS, WATERS.bond_orders, np.zeros(len(WATERS), bool))
    assert list(distances(nothing, counted(with_torsions([60.0] * 40))).values()) == [1, 1, 0, 90, 1, 0, 90, 1, 0]
    assert set(distances(counted(WATERS), nothing).values()) == {None}
    assert set(distances(nothing, nothing).values()) == {None}


def test_rare_types_of_the_reference_are_not_compared() -> None:
    common, rare = with_lengths([0.75] * MIN_OCCURRENCES), with_lengths([1.1] * (MIN_OCCURRENCES - 1), (1, 6))
    found = distances(counted(common), counted(concatenate([common, rare])))
    assert (found["bond_length_wasserstein"], found["bond_length_coverage"]) == (0, 1)


def test_molecules_that_are_not_usable_do_not_count(mini: Molecules) -> None:
    usable = np.arange(len(mini)) % 5 > 0
    spoilt = mini.positions.copy()
    spoilt[~np.repeat(usable, mini.atom_counts)] = np.nan
    assert_equal(
        measure(mini.with_positions(spoilt), mini.bond_orders, usable),
        counted(mini.take(usable)),
    )


def test_a_set_is_at_no_distance_from_itself(mini: Molecules) -> None:
    found = distances(counted(mini), counted(mini))
    for name in NAMES:
        assert found[f"{name}_wasserstein"] == 0
        assert -0.01 < found[f"{name}_mmd"] <= 0  # unbiased: below 0, since equal values are no independent draw
        assert found[f"{name}_coverage"] == 1


def test_rotation_translation_and_order_of_atoms_and_bonds_do_not_matter(mini: Molecules, rotation: np.ndarray) -> None:
    reference = counted(mini)
    r = np.random.default_rng(0)
    moved = counted(mini.with_positions(mini.positions @ rotation + [3, -5, 1]))
    shuffled = counted(from_list([_shuffled(molecule, r) for molecule in mini]))
    for histogram in (moved, shuffled):
        found = distances(histogram, reference)
        for name in NAMES:
            # Rounding of float32 coordinates moves a few values to the next grid point.
            assert found[f"{name}_wasserstein"] < 0.01 * GRIDS[name].step
            assert found[f"{name}_coverage"] == 1


def _shuffled(molecule: Molecule, r: np.random.Generator) -> Molecule:
    atoms, bonds = r.permutation(len(molecule)), r.permutation(len(molecule.bonds))
    ends = np.argsort(atoms)[molecule.bonds[bonds]]
    return replace(
        molecule,
        atomic_numbers=molecule.atomic_numbers[atoms],
        positions=molecule.positions[atoms],
        bonds=np.where(r.random(len(ends))[:, None] < 0.5, ends, ends[:, ::-1]).astype(np.int16),
        bond_orders=molecule.bond_orders[bonds],
        formal_charges=molecule.formal_charges[atoms],
    )


def test_counts_of_chunks_add_up(mini: Molecules) -> None:
    chunks = [mini.take(np.arange(start, min(start + 400, len(mini)))) for start in range(0, len(mini), 400)]
    whole = counted(mini)
    assert len(chunks) > 2
    assert_equal(merge(counted(chunk) for chunk in chunks), whole)
    assert_equal(merge([merge([]), whole]), whole)


def test_arrays_hold_everything(mini: Molecules) -> None:
    arrays = counted(mini).to_arrays()
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.int64)}
    assert_equal(GeometryHistogram.from_arrays(arrays), counted(mini))
    assert sum(array.nbytes for array in arrays.values()) < 2**20
    assert arrays["bond_length_counts"].sum() == len(mini.bonds)


def test_more_noise_is_farther(mini: Molecules) -> None:
    train = mini.split("train")
    reference, r = counted(train), np.random.default_rng(0)
    noise = r.normal(size=train.positions.shape)
    found = [
        distances(counted(train.with_positions(train.positions + scale * noise)), reference)
        for scale in (0, 0.01, 0.03, 0.1, 0.3)
    ]
    for name in NAMES:
        for metric in ("wasserstein", "mmd"):
            assert (np.diff([x[f"{name}_{metric}"] for x in found]) > 0).all()
    floor = distances(counted(mini.split("test")), reference)
    # Other molecules of the same dataset are nearer than the training molecules with noise that can be seen.
    assert floor["bond_length_wasserstein"] < found[2]["bond_length_wasserstein"]
    assert floor["bond_angle_mmd"] < found[2]["bond_angle_mmd"]
