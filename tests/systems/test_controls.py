from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from asking import asked
from latent3d.base.errors import UserError
from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.parquet import read_parquet, write_parquet
from latent3d.data.records import concatenate
from latent3d.evaluation.validity import edm_protocol
from latent3d.evaluation.validity.strict import strict_validity
from latent3d.plan import Row, settings
from latent3d.systems import Context, load_system
from latent3d.systems.controls.system import drawn

ELEMENTS = {1, 6, 7, 8, 9}


def sampled(data, indices, seed=0, source=None, **changed):
    """Controls; `source` is a file of samples."""
    row = Row(base="controls", overrides={"sampling": changed})
    context = Context(data, None if source is None else read_parquet(source))
    generate = load_system("controls").generator({}, settings(row, "sampling", "default"), context, Run(seed, Path()))
    return generate(asked(indices, seed))


def assert_same(a, b):
    pd.testing.assert_frame_equal(a.table, b.table)
    for name in ("atomic_numbers", "positions", "bonds", "bond_orders", "bonds_known"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def molecule_id(dataset, molecule):
    return next(i for i, m in enumerate(dataset) if np.array_equal(m.positions, molecule.positions))


@pytest.mark.parametrize("kind", ["data", "noise", "cloud"])
def test_an_index_depends_on_nothing_but_seed_and_index(dataset, kind):
    whole = sampled(dataset, range(0, 20), kind=kind, noise=0.1)
    assert whole.table.columns.tolist() == ["sample_index", "seed", "status"]
    assert whole.table["sample_index"].tolist() == list(range(20))
    assert_same(whole.take(range(7, 15)), sampled(dataset, range(7, 15), kind=kind, noise=0.1))
    other = sampled(dataset, range(0, 20), seed=1, kind=kind, noise=0.1)
    assert not np.array_equal(whole.atom_counts, other.atom_counts)


def test_data_is_drawn_without_replacement_then_cycled(dataset):
    test = dataset.split("test")
    samples = sampled(dataset, range(0, 10), split="test")
    found = [molecule_id(test, molecule) for molecule in samples]
    assert len(samples) == 10
    for cycle in (found[:4], found[4:8]):
        assert sorted(cycle) == [0, 1, 2, 3]
    assert len(set(found[8:])) == 2
    assert samples.bonds_known.all()
    assert (samples.table["status"] == "ok").all()


def test_noise_makes_everything_worse(dataset):
    stability, validity = [], []
    for noise in (0.0, 0.03, 0.1, 0.3):
        samples = sampled(dataset, range(0, 150), kind="noise", noise=noise)
        assert not samples.bonds_known.any()
        stability.append(edm_protocol.stable_atoms(samples, edm_protocol.perceive(samples)).mean())
        validity.append(strict_validity(samples, ELEMENTS).status.count("ok"))
    assert all(a > b for a, b in pairwise(stability))
    assert all(a >= b for a, b in pairwise(validity))
    assert validity[0] == 150 and validity[-1] < 50


def test_noise_has_the_stated_width(dataset):
    noisy = sampled(dataset, range(0, 300), kind="noise", noise=0.1)
    still = sampled(dataset, range(0, 300), kind="noise", noise=0.0)
    moved = noisy.positions - still.positions
    assert moved.std() == pytest.approx(0.1, rel=0.03)
    assert abs(moved.mean()) < 0.005


def test_clouds_are_never_valid(dataset):
    # Methane and hydrogen could be hit by chance; molecules of four heavy atoms cannot.
    large = dataset.take(dataset.atom_counts > 9)
    large = large.with_columns(split="train")
    samples = sampled(large, range(0, 200), kind="cloud")
    assert "ok" not in strict_validity(samples, ELEMENTS).status
    assert not edm_protocol.judge(samples, np.ones(len(samples), bool)).stable.any()


def test_etkdg_embeds_the_graph_alone(dataset, tmp_path):
    test = dataset.split("test").take([0, 1, 2, 3, 0])
    empty = Molecule(np.zeros(0, np.uint8), np.zeros((0, 3), np.float32))
    graphs = [*test][:4]
    broken = replace(graphs[0], bond_orders=np.full_like(graphs[0].bond_orders, 3))
    status = ["ok", "ok", "ok", "ok", "decode_failed", "ok"]
    table = pd.DataFrame({"sample_index": range(6), "seed": 5, "status": status})
    for name, shift in (("here", 0), ("there", 30)):
        molecules = [replace(m, positions=m.positions * 2 + shift) for m in [*graphs, empty, broken]]
        # Those of another seed change nothing.
        other = from_list(molecules[::-1], table.assign(seed=4))
        write_parquet(tmp_path / f"{name}.parquet", concatenate([other, from_list(molecules, table)]))
    samples = sampled(dataset, range(0, 6), seed=5, source=tmp_path / "here.parquet", kind="etkdg")
    # The same whatever the coordinates of the source are.
    assert_same(samples, sampled(dataset, range(0, 6), seed=5, source=tmp_path / "there.parquet", kind="etkdg"))
    some = sampled(dataset, range(2, 4), seed=5, source=tmp_path / "here.parquet", kind="etkdg")
    assert_same(samples.take(range(2, 4)), some)
    assert samples.table["status"].tolist() == ["ok"] * 4 + ["decode_failed", "sanitise_failed"]
    assert len(samples[4]) == 0
    assert np.isnan(samples[5].positions).all()
    for sample, graph in zip(samples, graphs, strict=False):
        np.testing.assert_array_equal(sample.bonds, graph.bonds)
        assert np.isfinite(sample.positions).all()
    verdict = strict_validity(samples, ELEMENTS, samples.table["status"])
    assert verdict.smiles[:4] == dataset.split("test").table["smiles"].tolist()


def test_impossible_and_unknown_graphs(from_smiles):
    embed = load_system("controls").embed
    # Five carbons that are all bonded to each other have no geometry.
    pairs = np.array([(i, j) for i in range(5) for j in range(i)], np.int16)
    clique = Molecule(
        np.full(5, 6, np.uint8), np.zeros((5, 3), np.float32), pairs, np.ones(10, np.uint8), np.zeros(5, np.int8)
    )
    failed, status = embed(clique, 1)
    assert status == "embed_failed"
    assert np.isnan(failed.positions).all() and len(failed.bonds) == 10
    methane = replace(from_smiles("C"), bonds=None, bond_orders=None, formal_charges=None)
    embedded, status = embed(methane, 1)
    assert status == "ok" and len(embedded.bonds) == 4
    assert embed(replace(methane, positions=methane.positions * np.nan), 1)[1] == "nan_coordinates"


def test_mistakes_are_plain_sentences(dataset, tmp_path):
    with pytest.raises(UserError, match="data, noise, cloud, etkdg"):
        sampled(dataset, range(3), kind="dta")
    with pytest.raises(UserError, match=r"sampling\.split: 'tset'\. Did you mean 'test'"):
        sampled(dataset, range(3), split="tset")
    with pytest.raises(UserError, match="no molecules in the split 'tset'"):
        drawn(dataset, "tset", np.arange(3), 0)
    with pytest.raises(UserError, match="at least 0"):
        sampled(dataset, range(3), kind="noise", noise=-1.0)
    with pytest.raises(UserError, match="samples_of"):
        sampled(dataset, range(3), kind="etkdg")
    with pytest.raises(UserError, match="does not exist"):
        sampled(dataset, range(3), kind="etkdg", source=tmp_path / "samples.parquet")
    short = sampled(dataset, range(2))
    write_parquet(tmp_path / "samples.parquet", short)
    with pytest.raises(UserError, match="no sample 2 for seed 0"):
        sampled(dataset, range(3), kind="etkdg", source=tmp_path / "samples.parquet")
