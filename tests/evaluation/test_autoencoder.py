"""reconstruction.json: what is counted, and over which molecules means are taken."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latent3d.base.files import read_json
from latent3d.base.run import Run
from latent3d.commands import reconstruct as autoencoder
from latent3d.data.molecules.parquet import write_parquet
from latent3d.systems import Reconstruction


class Stretched:
    """A system whose conformers are the reference stretched by a tenth along x."""

    def __init__(self, broken):
        self.broken = broken

    def reconstruct(self, weights, molecules, run):
        reference = list(molecules)
        stretched = [replace(m, positions=m.positions * np.float32([1.1, 1, 1])) for m in reference]
        for i in self.broken:
            stretched[i] = replace(reference[i], positions=np.full_like(reference[i].positions, np.nan))
        changes = {"latent_2d": 4, "latent_3d": 2, "rotation_error": 0.0, "reflection_change": 1.0}
        index = np.arange(len(reference))
        return Reconstruction(index, reference, reference, stretched, stretched, **changes)


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
