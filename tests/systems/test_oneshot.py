"""The one-shot autoencoder: classes and back, what its loss and decoder see, from training to samples."""

import numpy as np
import pytest
import torch

from asking import asked
from latent3d.base.run import Run
from latent3d.data.molecules.molecules import from_list
from latent3d.data.molecules.rdkit import canonical_smiles, sanitised
from latent3d.graphs.conformers import read_conformers
from latent3d.nets.alignment import rotation_matrix
from latent3d.plan import Row, settings
from latent3d.systems import Context
from latent3d.systems.oneshot import system as oneshot
from latent3d.systems.oneshot.model import ABSENT, AtomClasses, OneShotAutoencoder
from latent3d.systems.oneshot.settings import Autoencoder
from latent3d.training.weights import write_weights

SMILES = ["CCO", "C[C@H](O)F", "c1ccncc1", "C[N+](=O)[O-]", "C#N", "O"]
TINY = {"width": 16, "layers": 1, "heads": 2, "latent": 8, "steps": 5, "batch_size": 4, "warmup": 2}


@pytest.fixture(scope="module")
def conformers(from_smiles):
    return read_conformers(from_list([from_smiles(text) for text in SMILES]))


def autoencoder(conformers, latent=32, width=64):
    torch.manual_seed(0)
    graphs = conformers.graphs
    places, heavy = int(graphs.sizes.max()), int(graphs.heavy().sizes.max())
    sizes = {"latent": latent, "width": width, "layers": 2, "heads": 4, "beta": 0.01, "position_weight": 10.0}
    return OneShotAutoencoder(AtomClasses.of(graphs), places, heavy, Autoencoder(**sizes))


def smiles_of(molecule):
    mol = sanitised(molecule)
    return None if mol is None else canonical_smiles(mol)


def test_classes_and_bonds_make_the_molecules_they_came_from(conformers):
    kinds, batch = AtomClasses.of(conformers.graphs), conformers.graphs.padded()
    assert (7, 1) in kinds.kinds and (8, -1) in kinds.kinds and (9, 0) in kinds.kinds
    classes = kinds.read(batch, batch.mask.shape[1] + 3)
    assert (classes[:, -3:] == ABSENT).all()
    assert ((classes[:, :-3] != ABSENT) == batch.mask).all()
    bonds = torch.nn.functional.pad(batch.orders, (0, 3, 0, 3)).numpy()
    x = torch.nn.functional.pad(conformers.positions.padded(), (0, 0, 0, 3)).numpy()
    for row, expected in enumerate(conformers.molecules()):
        made = kinds.molecule(classes[row].numpy(), bonds[row], x[row])
        for name in ("atomic_numbers", "formal_charges", "bonds", "bond_orders", "positions"):
            assert np.array_equal(getattr(made, name), getattr(expected, name)), name


def test_codes_do_not_turn_with_the_molecule_and_know_its_hand(conformers):
    model, batch, x = autoencoder(conformers).eval(), conformers.graphs.padded(), conformers.positions.padded()
    turn = rotation_matrix(torch.randn(1, 4, generator=torch.Generator().manual_seed(1)))[0]
    with torch.no_grad():
        z, turned, mirrored = (model.encode(batch, y) for y in (x, x @ turn.T, conformers.mirrored.padded()))
    assert ((turned - z).norm(dim=1) / z.norm(dim=1)).max() < 1e-4
    assert (mirrored - z)[SMILES.index("C[C@H](O)F")].norm() > 10 * (turned - z).norm(dim=1).max()


def test_overfits_a_few_molecules_and_decodes_them_whole(conformers):
    model, generator = autoencoder(conformers), torch.Generator().manual_seed(0)
    batch = conformers.graphs.padded(), conformers.positions.padded()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    for _ in range(400):
        losses = model(*batch, generator)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
    assert losses["exact"] == 1
    model.eval()
    molecules, x = model.decode(model.encode(*batch))
    assert x.shape == (len(SMILES), model.places, 3)
    for molecule, expected in zip(molecules, conformers.molecules(), strict=True):
        assert smiles_of(molecule) == smiles_of(expected)
        distances = [np.linalg.norm(p[:, None] - p[None], axis=-1) for p in (molecule.positions, expected.positions)]
        assert np.abs(distances[0] - distances[1]).mean() < 0.15


def test_the_loss_sees_every_part(conformers):
    model, batch, x = autoencoder(conformers).eval(), conformers.graphs.padded(), conformers.positions.padded()

    def found(x):
        return model(batch, x, torch.Generator().manual_seed(0))

    parts = found(x)
    places = parts["rmsd2"] + parts["frames"] + 4 * parts["distances"]
    expected = parts["atoms"] + parts["bonds"] + 10 * places + 0.01 * parts["kl"]
    assert parts["loss"].item() == pytest.approx(expected.item())
    assert all(parts[name] > 0 for name in ("atoms", "bonds", "rmsd2", "frames", "distances", "kl"))
    assert found(2 * x)["rmsd2"] > 2 * parts["rmsd2"]


def test_from_training_to_samples(dataset, tmp_path):
    files = {}
    for stage in ("autoencoder", "diffusion"):
        changed = TINY if stage == "autoencoder" else {"width": 16, "blocks": 1, "steps": 5, "batch_size": 4}
        h = settings(Row(base="oneshot", overrides={stage: changed}), stage, "quick")
        result, more = oneshot.fit(stage, dataset, dict(files), h, Run(0, tmp_path / stage))
        files[stage] = tmp_path / f"{stage}.safetensors"
        write_weights(files[stage], result.weights, "oneshot", stage, h.model_dump(), **more)
    h = settings(Row(base="oneshot"), "sampling", "quick")
    generate = oneshot.generator(files, h, Context(), Run(0, tmp_path))
    whole, part = generate(asked(range(0, 120), 3)), generate(asked(range(95, 110), 3))
    assert (whole.table["status"] == "ok").all()
    for molecule, expected in zip(part, [whole[i] for i in range(95, 110)], strict=True):
        assert np.array_equal(molecule.positions, expected.positions)
    assert not np.array_equal(generate(asked(range(3), 4)).positions, whole.take(np.arange(3)).positions)
    codec = oneshot.codec(files, Run(0, tmp_path))
    encoded = codec.encode(dataset.split("test"))
    graphs, conformers = (codec.decode(encoded.latents, torch.Generator(), given) for given in (None, encoded))
    assert len(graphs) == len(encoded.molecules) == len(conformers) == len(encoded.index) > 0
    assert codec.change(encoded, rotation_matrix(torch.randn(1, 4))[0]) < 1e-4
    # Of what hardly trained networks decode, the places of a graph's atoms are kept.
    for graph, conformer in zip(graphs, conformers, strict=True):
        assert np.isfinite(conformer.positions).all()
        if len(graph) == len(conformer):
            assert np.array_equal(graph.positions, conformer.positions)
