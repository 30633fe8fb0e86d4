"""EDM, GeoLDM and their ablations as systems: training, sampling, reconstruction, the released defects as choices."""

import numpy as np
import pandas as pd
import pytest
import torch

from asking import asked
from latent3d import plan
from latent3d.base.run import Run
from latent3d.data.molecules.molecules import from_list
from latent3d.graphs.point_clouds import elements_of, read_clouds, to_molecules
from latent3d.nets.alignment import rotation_matrix
from latent3d.nets.egnn import EGNN
from latent3d.plan import Row, system_defaults
from latent3d.systems import Context, load_system, system_settings
from latent3d.systems.geoldm.model import PointAutoencoder
from latent3d.systems.points import batch_of
from latent3d.training.weights import write_weights

POINT_MODELS = ["edm", "gdm", "geoldm", "graphldm"]
SMALL = {"width": 64, "learning_rate": 0.003, "warmup": 20, "decay": "linear", "ema": 0.9}
SMALLER = {"width": 16, "steps": 6, "batch_size": 4, "ema": 0.9}


def settings(system, stage, **changed):
    known = system_settings(system)[stage].model_fields
    changed = {name: value for name, value in changed.items() if name in known}
    return plan.settings(Row(base=system, overrides={stage: changed}), stage, "quick")


def trained(system, data, folder, **changed):
    """(weights files, results) of all stages of a system with changed hyper-parameters."""
    weights, results = {}, {}
    for stage, needs in system_defaults(system).stages.items():
        h = settings(system, stage, **changed)
        run = Run(0, folder / system / "work" / stage)
        result, more = load_system(system).fit(stage, data, {need: weights[need] for need in needs}, h, run)
        weights[stage], results[stage] = folder / system / f"{stage}.safetensors", result
        write_weights(weights[stage], result.weights, system, stage, h.model_dump(), **more)
    return weights, results


@pytest.fixture(scope="module")
def few(from_smiles):
    """Three small molecules, 32 times each: one batch sees every one of them at many noise levels."""
    molecules = [from_smiles(smiles) for smiles in ("F", "O", "C#N")]
    return from_list(molecules * 32, pd.DataFrame({"split": ["train"] * 96}))


@pytest.mark.parametrize("system", POINT_MODELS)
def test_the_loss_falls_tenfold_on_a_handful_of_molecules(system, few, tmp_path):
    # Eight features for GeoLDM's points: of positions at middle times no network can tell all the noise, since no
    # orientation is better than another, and the fewer features, the more that weighs.
    changed = {**SMALL, "layers": 3, "decoder_layers": 2, "steps": 800, "batch_size": 96, "latent": 8}
    _, results = trained(system, few, tmp_path, **changed)
    features = 5 if system in ("edm", "gdm") else 8
    predicting_nothing = np.mean([(3 * (n - 1) + features * n) / ((3 + features) * 3) for n in few.atom_counts])
    log = {stage: [line["loss"] for line in result.log] for stage, result in results.items()}
    assert np.mean(log["diffusion"][-6:]) < predicting_nothing / 10
    if "autoencoder" in log:
        assert np.mean(log["autoencoder"][-6:]) < log["autoencoder"][0] / 10


@pytest.fixture(scope="module")
def quick(dataset, tmp_path_factory):
    """Hardly trained weights of every point model on the test molecules (with fluorine)."""
    folder = tmp_path_factory.mktemp("point_models")
    known = {}

    def weights(system):
        if system not in known:
            known[system] = trained(system, dataset, folder, **SMALLER, layers=2, decoder_layers=2)[0]
        return known[system]

    return weights


@pytest.mark.parametrize("system", POINT_MODELS)
def test_samples_do_not_depend_on_how_they_are_asked_for(system, quick, dataset, tmp_path):
    h = settings(system, "sampling", steps=4)
    generate = load_system(system).generator(quick(system), h, Context(), Run(0, tmp_path))
    whole, part = generate(asked(range(0, 130), 3)), generate(asked(range(90, 110), 3))
    for index, molecule in zip(range(90, 110), part, strict=True):
        assert np.array_equal(molecule.atomic_numbers, whole[index].atomic_numbers)
        assert np.array_equal(molecule.positions, whole[index].positions)
    assert list(part.table["sample_index"]) == list(range(90, 110))
    assert set(part.table["status"]) <= {"ok", "nan_coordinates"}
    assert not part.bonds_known.any()
    other = generate(asked(range(90, 110), 4))
    assert not np.array_equal(other.positions[:5], part.positions[:5])


@pytest.mark.parametrize("system", POINT_MODELS)
def test_samples_have_the_sizes_and_elements_of_training(system, quick, dataset, tmp_path):
    train = dataset.split("train")
    h = settings(system, "sampling", steps=2)
    made = load_system(system).generator(quick(system), h, Context(), Run(0, tmp_path))(asked(range(300)))
    assert set(made.atom_counts) == set(train.atom_counts)
    assert set(made.atomic_numbers) <= set(train.atomic_numbers)
    share = {n: (train.atom_counts == n).mean() for n in set(train.atom_counts)}
    for n, expected in share.items():
        assert (made.atom_counts == n).mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / 300))


def test_geoldms_encoder_stays_as_drawn_unless_told_to_learn(dataset, tmp_path):
    train = dataset.split("train")
    h = settings("geoldm", "autoencoder", **SMALLER, decoder_layers=2)
    torch.manual_seed(0)
    drawn = PointAutoencoder(EGNN, elements_of(train), int(train.atom_counts.max()), h).state_dict()
    kept = {}
    for steps in (0, 3):
        folder = tmp_path / str(steps)
        _, results = trained("geoldm", dataset, folder, **SMALLER, decoder_layers=2, layers=1, encoder_steps=steps)
        # EMA weights: unequal as soon as one step has changed them.
        weights = results["autoencoder"].weights
        kept[steps] = [torch.equal(weights[key], drawn[key]) for key in drawn if not key.startswith("decoder")]
        assert not any(torch.equal(weights[key], drawn[key]) for key in drawn if key.startswith("decoder.layers"))
    assert all(kept[0])
    assert not any(kept[3][:4])


def test_without_charges_the_released_slice_loses_the_last_element():
    model = PointAutoencoder(EGNN, (1, 6, 7, 8, 9), 8, settings("geoldm", "autoencoder", charges=False, width=16))
    with torch.no_grad():
        model.decoder.read.bias[4] = 1000.0  # fluorine, whatever comes in
    z, mask = torch.randn(2, 6, 3 + model.latent), torch.ones(2, 6) > 0
    kept, lost = (model.decode_clouds(z, mask, last_element=last).atomic_numbers() for last in (True, False))
    assert (kept == 9).all()
    assert not (lost == 9).any()
    assert set(lost.unique().tolist()) <= {1, 6, 7, 8}


def test_sampling_can_make_the_choice_of_the_released_slice(dataset, tmp_path):
    last = max(dataset.split("train").atomic_numbers)
    weights, _ = trained("geoldm", dataset, tmp_path, **SMALLER, decoder_layers=1, layers=1, charges=False)
    with_charges, _ = trained("geoldm", dataset, tmp_path / "charges", **SMALLER, decoder_layers=1, layers=1)
    for files, expected in ((weights, {"kept": True, "lost": False}), (with_charges, {"kept": True, "lost": True})):
        autoencoder = _always_last_element(files["autoencoder"])
        for choice, found in expected.items():
            h = settings("geoldm", "sampling", steps=2, last_element=choice)
            changed = {**files, "autoencoder": autoencoder}
            made = load_system("geoldm").generator(changed, h, Context(), Run(0, tmp_path))(asked(range(20)))
            assert (last in made.atomic_numbers) == found


def _always_last_element(path):
    """The same weights but for a bias that makes every atom the last element."""
    from latent3d.training.weights import read_weights

    state, metadata = read_weights(path)
    state["decoder.read.bias"][len(metadata["elements"]) - 1] = 1000.0
    out = path.with_name("last.safetensors")
    more = {key: metadata[key] for key in ("elements", "sizes")}
    write_weights(out, state, "geoldm", "autoencoder", metadata["hyperparameters"], **more)
    return out


@pytest.mark.parametrize(("system", "equivariant"), [("geoldm", True), ("graphldm", False)])
def test_reconstruction_compares_codes_of_turned_molecules(system, equivariant, quick, dataset, tmp_path):
    elements = dataset.split("train").atomic_numbers
    test = dataset.split("test")
    test = test.take([i for i, molecule in enumerate(test) if np.isin(molecule.atomic_numbers, elements).all()])
    assert len(test) >= 2
    codec = load_system(system).codec({"autoencoder": quick(system)["autoencoder"]}, Run(0, tmp_path))
    encoded = codec.encode(test)
    conformers = codec.decode(encoded.latents, torch.Generator(), encoded)
    assert list(encoded.index) == list(range(len(test)))
    assert [len(m) for m in conformers] == list(test.atom_counts)
    for molecule, decoded in zip(test, conformers, strict=True):
        assert np.array_equal(molecule.bonds, decoded.bonds)
        assert not np.allclose(molecule.positions, decoded.positions)
    assert "z_3d" not in encoded.latents  # the latents of other molecules have other points
    rotation = rotation_matrix(torch.randn(1, 4, generator=torch.Generator().manual_seed(0)))[0]
    errors = [codec.change(encoded, turn) for turn in (rotation, -torch.eye(3))]
    assert max(errors) < 1e-5 if equivariant else min(errors) > 1e-3


def test_clouds_leave_out_what_has_no_place(from_smiles):
    molecules = [from_smiles("CCO"), from_smiles("CF"), from_smiles("C")]
    lost = molecules[2].positions.copy()
    lost[0, 0] = np.nan
    data = from_list([*molecules, type(molecules[2])(molecules[2].atomic_numbers, lost)])
    clouds, rows = read_clouds(data, (1, 6, 8))
    assert rows.tolist() == [0, 2]
    assert clouds.sizes.tolist() == [9, 5]
    assert clouds.padded().positions.sum(1).abs().max() < 1e-5
    for made, index in zip(to_molecules(clouds.padded()), rows, strict=True):
        original = data[index]
        assert np.array_equal(made.atomic_numbers, original.atomic_numbers)
        np.testing.assert_allclose(made.positions, original.positions - original.positions.mean(0), atol=1e-5)


def test_augmentation_turns_every_molecule_by_itself(dataset):
    clouds, _ = read_clouds(dataset, elements_of(dataset))
    rows = torch.arange(len(clouds))
    plain = batch_of(clouds, rows, False, torch.Generator().manual_seed(0))
    turned = batch_of(clouds, rows, True, torch.Generator().manual_seed(0))
    distances = [torch.cdist(batch.positions, batch.positions) for batch in (plain, turned)]
    torch.testing.assert_close(*distances, atol=1e-3, rtol=0)
    assert ((plain.positions - turned.positions).abs().amax((1, 2)) > 0.1).all()
