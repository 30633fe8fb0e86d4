"""reconstruction.json: what is counted, and over which molecules means are taken."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latent3d.base.files import read_json
from latent3d.base.run import Run
from latent3d.commands import reconstruct as autoencoder
from latent3d.data.molecules.molecules import from_list
from latent3d.data.molecules.parquet import write_parquet
from latent3d.systems import Encoded


class Stretched:
    """A system, and its codec, whose conformers are the molecules stretched by a tenth along x."""

    latent_2d, latent_3d = 4, 2

    def __init__(self, broken):
        self.broken = broken

    def codec(self, parts, run):
        return self

    def encode(self, molecules):
        latents = {"z_2d": torch.zeros(len(molecules), 4), "z_3d": torch.zeros(len(molecules), 2)}
        return Encoded(np.arange(len(molecules)), list(molecules), latents, list(molecules))

    def decode(self, latents, generator, given=None):
        if given is None:
            return self.graphs
        self.graphs = from_list(given.read)
        stretched = [replace(m, positions=m.positions * np.float32([1.1, 1, 1])) for m in given.read]
        for i in self.broken:
            stretched[i] = replace(stretched[i], positions=np.full_like(stretched[i].positions, np.nan))
        return from_list(stretched)

    def change(self, encoded, turn):
        return float(torch.det(turn) < 0)


@pytest.fixture
def measure(monkeypatch, tmp_path, dataset):
    """Function (rows whose geometry fails) -> reconstruction.json on the four test molecules of `dataset`."""
    write_parquet(tmp_path / "dataset.parquet", dataset)

    def run(broken):
        monkeypatch.setattr(autoencoder, "load_system", lambda name: Stretched(broken))
        out = tmp_path / "reconstruction.json"
        autoencoder.evaluate_autoencoder("stretched", {}, tmp_path / "dataset.parquet", Run(0, Path(tmp_path)), out)
        return read_json(out)

    return run


def test_a_failed_geometry_is_counted_and_leaves_the_means_of_the_others(measure, capsys):
    whole, one, all_failed = measure([]), measure([0]), measure([0, 1, 2, 3])
    assert [found["n_failed_geometry"] for found in (whole, one, all_failed)] == [0, 1, 4]
    assert one["n"] == one["n_encoded"] == 4 and one["values"]["exact_match_2d"] == 1
    alone = [measure([j for j in range(4) if j != i])["values"]["rmsd_all"] for i in range(4)]
    assert whole["values"]["rmsd_all"] == pytest.approx(np.mean(alone))
    assert one["values"]["rmsd_all"] == pytest.approx(np.mean(alone[1:]))
    assert one["values"]["rmsd_all_median"] == pytest.approx(np.median(alone[1:]))
    for name in ("rmsd_all", "rmsd_heavy", "bond_length_mae", "rmsd_all_median"):
        assert 0 < one["values"][name] < 1, name
        assert all_failed["values"][name] is None, name
    # The first test molecule is chiral: its failure counts as a centre that is not recovered.
    assert (whole["values"]["n_stereocentres"], whole["values"]["chirality_recovered"]) == (1, 1)
    assert (one["values"]["n_stereocentres"], one["values"]["chirality_recovered"]) == (1, 0)
    assert "4 test molecules, about" in capsys.readouterr().err
