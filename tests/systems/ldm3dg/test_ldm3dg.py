"""LDM-3DG, released and corrected, from training to samples and reconstructions; its choices one by one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from asking import asked
from latent3d import plan
from latent3d.base.errors import UserError
from latent3d.base.run import Run
from latent3d.graphs.molecular_graphs import canonical_graph
from latent3d.nets.alignment import rotation_matrix
from latent3d.plan import Row, system_defaults
from latent3d.systems import Context, load_system
from latent3d.systems.ldm3dg import sampling
from latent3d.systems.ldm3dg.models import load_prior, load_topology
from latent3d.training.weights import write_weights

TINY = {
    "topology": {"hidden": 16, "embed": 16, "latent": 4, "depth_tree": 2, "depth_graph": 2, "steps": 5},
    "geometry": {"code": 6, "encoder_width": 8, "encoder_layers": 1, "width": 8, "rounds": 1, "steps": 5},
    "diffusion": {"width": 16, "layers": 2, "steps": 5, "batch_size": 4},
    "sampling": {"steps": 10},
}
ROWS = {
    "ldm3dg": ("ldm3dg", {}),
    "ldm3dg_prior": ("ldm3dg", {"geometry": {"branch": "prior"}}),
    "ldm3dg_corrected": (
        "ldm3dg_corrected",
        {"topology": {"self_supervision": "global_local"}, "geometry": {"self_supervision": "two_view"}},
    ),
}


def settings(name, stage, **changed):
    system, overrides = ROWS[name]
    together = {**TINY[stage], **overrides.get(stage, {}), **changed}
    return plan.settings(Row(base=system, overrides={stage: together}), stage, "quick")


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    """Name of a row -> weights files of its hardly trained stages."""
    known, folder = {}, tmp_path_factory.mktemp("ldm3dg")

    def weights(name):
        system = ROWS[name][0]
        if name not in known:
            files = {}
            for stage, needs in system_defaults(system).stages.items():
                h, run = settings(name, stage), Run(0, folder / name / "work" / stage)
                given = {need: files[need] for need in needs}
                result, more = load_system(system).fit(stage, dataset, given, h, run)
                files[stage] = folder / name / f"{stage}.safetensors"
                write_weights(files[stage], result.weights, system, stage, h.model_dump(), **more)
            known[name] = files
        return known[name]

    return weights


def drawn(name, trained, dataset, tmp_path, indices, seed=0, **changed):
    h = settings(name, "sampling", **changed)
    return load_system(ROWS[name][0]).generator(trained(name), h, Context(), Run(0, tmp_path))(asked(indices, seed))


def test_steps_that_do_not_divide_the_chain_are_refused(trained, dataset, tmp_path):
    with pytest.raises(UserError, match="1000 does not divide the 500 times"):
        drawn("ldm3dg", trained, dataset, tmp_path, range(1), steps=1000)


@pytest.mark.parametrize("name", ROWS)
def test_samples_do_not_depend_on_how_they_are_asked_for(name, trained, dataset, tmp_path):
    whole = drawn(name, trained, dataset, tmp_path, range(0, 130), seed=3)
    part = drawn(name, trained, dataset, tmp_path, range(90, 110), seed=3)
    for index, molecule in zip(range(90, 110), part, strict=True):
        assert np.array_equal(molecule.atomic_numbers, whole[index].atomic_numbers)
        assert np.array_equal(molecule.positions, whole[index].positions)
    assert list(part.table["sample_index"]) == list(range(90, 110))
    other = drawn(name, trained, dataset, tmp_path, range(90, 110), seed=4)
    assert not np.array_equal(other.positions[:5], part.positions[:5])
    # Valid by construction, whatever the training.
    assert (whole.table["status"] == "ok").all()
    assert all(canonical_graph(molecule) is not None for molecule in whole)


def test_the_released_row_depends_on_the_coordinates_it_is_fed_and_the_others_do_not(
    trained, dataset, tmp_path, monkeypatch
):
    for name in ROWS:
        before = drawn(name, trained, dataset, tmp_path, range(20))
        with monkeypatch.context() as patch:
            fed = sampling.with_start_coordinates
            patch.setattr(sampling, "with_start_coordinates", lambda *a, fed=fed: _stretched(fed(*a)))
            after = drawn(name, trained, dataset, tmp_path, range(20))
        assert np.array_equal(before.atomic_numbers, after.atomic_numbers)
        assert np.array_equal(before.positions, after.positions) == (name != "ldm3dg")


def _stretched(molecule):
    return replace(molecule, positions=1.2 * molecule.positions)


def test_a_plane_drawing_is_other_coordinates_for_the_same_graphs(trained, dataset, tmp_path):
    embedded, flat = (drawn("ldm3dg", trained, dataset, tmp_path, range(20), start=s) for s in ("etkdg", "layout"))
    assert np.array_equal(embedded.atomic_numbers, flat.atomic_numbers)
    assert np.array_equal(embedded.bonds, flat.bonds)
    assert not np.array_equal(embedded.positions, flat.positions)


@pytest.mark.parametrize("name", ROWS)
def test_reconstruction(name, trained, dataset, tmp_path):
    train = dataset.split("train")  # what the vocabulary can express
    files = {stage: trained(name)[stage] for stage in ("topology", "geometry")}
    codec = load_system(ROWS[name][0]).codec(files, Run(0, tmp_path))
    encoded = codec.encode(train)
    assert list(encoded.index) == list(range(len(train)))
    assert (codec.latent_2d, codec.latent_3d) == (4, 6)
    assert [z.shape for z in encoded.latents.values()] == [(len(train), 4), (len(train), 6)]
    # Distances alone: neither turning nor mirroring a molecule changes its code.
    for turn in (rotation_matrix(torch.randn(1, 4))[0], -torch.eye(3)):
        assert codec.change(encoded, turn) < 1e-4
    others = {**encoded.latents, "z_3d": encoded.latents["z_3d"].roll(1, 0)}
    conformers, shuffled = (codec.decode(z, torch.Generator(), encoded) for z in (encoded.latents, others))
    for molecule, made, other in zip(encoded.molecules, conformers, shuffled, strict=True):
        assert np.array_equal(molecule.bonds, made.bonds)
        assert np.isfinite(made.positions).all() and np.isfinite(other.positions).all()
    graphs = codec.decode(encoded.latents, torch.Generator())
    assert len(graphs) == len(train) and all(graph.bonds is not None for graph in graphs)


def test_the_released_codes_are_raw_and_most_directions_of_z_2d_are_not_decoded(trained, dataset, tmp_path):
    prior, topology = load_prior(trained("ldm3dg")["diffusion"], "cpu"), load_topology(
        trained("ldm3dg")["topology"], "cpu"
    )  # fmt: skip
    assert prior.widths == [16, 6]
    root = torch.randn(3, 16)
    _, _, directions = torch.linalg.svd(topology.to_mean.weight)
    unseen = directions[4:]  # [12, 16]
    moved = root + torch.randn(3, 12) @ unseen
    torch.testing.assert_close(topology.mean(moved), topology.mean(root), atol=1e-4, rtol=1e-4)
    corrected = load_prior(trained("ldm3dg_corrected")["diffusion"], "cpu")
    assert corrected.widths == [4, 6]
