"""Released weights: half the size, nearly the same numbers, and a system that samples with them alone."""

import json

import pandas as pd
import pytest
import torch

from latent3d.base.errors import UserError
from latent3d.base.files import resource
from latent3d.commands.release import MEASURED, release, released_weights
from latent3d.training.weights import read_weights, write_weights

HYPERPARAMETERS = {"batch_size": 4}


@pytest.fixture
def results(tmp_path):
    """Weights of two stages, and the tables that a card quotes."""
    folder = tmp_path / "results" / "toy" / "latent3d" / "train0"
    generator = torch.Generator().manual_seed(0)
    for stage in ("geometry", "topology"):
        tensors = {"weight": torch.randn(64, 64, generator=generator), "places": torch.arange(5)}
        write_weights(
            folder / f"{stage}.safetensors", tensors, "latent3d", stage, HYPERPARAMETERS, data_sha256="d" * 64
        )
        run = {
            "parameters": 4096,
            "steps": 10,
            "seconds": 90.0,
            "device": "some processor",
            "hyperparameters": HYPERPARAMETERS,
        }
        (folder / f"{stage}.run.json").write_text(json.dumps(run))
        (folder / f"{stage}.log.csv").write_text("step,loss\n10,1\n")
    for number, (table, columns) in enumerate(MEASURED.items()):
        lines = [
            {"row": row, "subset": "9 train", **{c: place + number for c in columns}}
            for place, row in enumerate(["data_test", "latent3d"])
        ]
        pd.DataFrame(lines).to_csv(tmp_path / "results" / f"{table}_toy.csv", index=False)
    return tmp_path / "results"


def test_half_precision_is_half_the_size_and_read_back_as_single(results, tmp_path):
    release(results, "toy", "latent3d", 0, tmp_path / "out")
    for stage in ("topology", "geometry"):
        before, after = results / "toy/latent3d/train0", tmp_path / "out/toy/latent3d"
        file = f"{stage}.safetensors"
        assert (after / file).stat().st_size < 0.6 * (before / file).stat().st_size
        (exact, metadata), (rounded, same) = read_weights(before / file), read_weights(after / file)
        assert same == metadata
        assert rounded["weight"].dtype == torch.float32 and torch.equal(rounded["places"], exact["places"])
        torch.testing.assert_close(rounded["weight"], exact["weight"], rtol=2**-11, atol=1e-7)
        assert (after / f"{stage}.log.csv").read_text() == "step,loss\n10,1\n"


def test_the_card_says_what_was_trained_and_measured(results, tmp_path):
    release(results, "toy", "latent3d", 0, tmp_path / "out")
    card = (tmp_path / "out/toy/latent3d/README.md").read_text()
    lines = card.splitlines()
    assert "9 train" in card
    rows = [line for line in lines if line.startswith(("| topology", "| geometry"))]
    assert [row.split()[1] for row in rows] == ["topology", "geometry"]  # in the order of training
    assert "| 1.5 | some processor |" in rows[0] and "dddddddddddd" in rows[0]
    # The numbers of the row, not of the control above it.
    assert "| strict_validity_pct_up | 1 |  |" in lines and "| exact_match_2d_pct_up | 4 |  |" in lines


def test_what_cannot_be_released_is_refused(results, tmp_path):
    with pytest.raises(UserError, match=r"holds no weights. Train the row first."):
        release(results, "toy", "edm", 0, tmp_path / "out")
    big = {"weight": torch.zeros(3000, 3000)}
    write_weights(
        results / "toy/latent3d/train0/geometry.safetensors", big, "latent3d", "geometry", {}, data_sha256="d"
    )
    with pytest.raises(UserError, match=r"geometry.safetensors would have 17 MB; files of at most 16 MB are released."):
        release(results, "toy", "latent3d", 0, tmp_path / "out")
    assert not (tmp_path / "out/toy/latent3d/geometry.safetensors").exists()
    with pytest.raises(UserError, match="no released weights of 'edm' trained on 'toy'; there are: "):
        released_weights("edm", "toy")


def test_the_files_in_the_repository_are_small_and_of_what_their_folder_says():
    for file in resource("checkpoints").glob("*/*/*.safetensors"):
        assert file.stat().st_size <= 16 * 2**20
        metadata = read_weights(file)[1]
        run = json.loads(file.with_suffix(".run.json").read_text())
        assert metadata["stage"] == file.stem and metadata["hyperparameters"] == run["hyperparameters"]
        assert (
            f"{metadata['configuration_hash'][:12]} | {metadata['data_sha256'][:12]} |"
            in (file.parent / "README.md").read_text()
        )
