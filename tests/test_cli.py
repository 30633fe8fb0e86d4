"""A user's mistake ends in one sentence that says what to do, with exit code 2 and without a traceback."""

import json
import sys
from dataclasses import replace

import pytest
import torch

from latent3d import cli
from latent3d.base.files import hash_file
from latent3d.cli.arguments import check_origin
from latent3d.commands.release import released_weights
from latent3d.data.molecules.parquet import write_parquet
from latent3d.plan import system_defaults
from latent3d.training.weights import read_weights, write_safetensors, write_weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory, dataset):
    folder = tmp_path_factory.mktemp("cli")
    write_parquet(folder / "dataset.parquet", dataset)
    write_parquet(folder / "no_split.parquet", replace(dataset, table=dataset.table[["id"]]))
    write_weights(folder / "diffusion.safetensors", {"x": torch.zeros(1)}, "latent3d", "diffusion_2d", {})
    (folder / "junk.safetensors").write_text("junk")
    return folder


TRAIN = ["train", "latent3d", "topology", "--data", "dataset.parquet", "--out", "x.safetensors"]
SAMPLE = ["sample", "--system", "latent3d", "--data", "dataset.parquet", "--count", "5", "--out", "o.sdf"]
RECONSTRUCT = ["reconstruct", "latent3d", "--data", "dataset.parquet", "--out", "r.json"]
WEIGHTS = [word for stage in system_defaults("latent3d").stages for word in ("--weights", f"{stage}=junk.safetensors")]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "latent4d", *TRAIN[2:]], "no system 'latent4d'. Did you mean 'latent3d'"),
        (["train", "latent3d", "topolgy", *TRAIN[3:]], "no stage 'topolgy'. Did you mean 'topology'"),
        ([*TRAIN[:4], "none.parquet", *TRAIN[5:]], "none.parquet"),
        ([*TRAIN[:4], "no_split.parquet", *TRAIN[5:]], "no column 'split'"),
        ([*TRAIN, "--hyperparameters", '{"stps": 3}'], "unknown hyper-parameter 'stps'. Did you mean 'steps'"),
        ([*TRAIN, "--hyperparameters", '{"steps": 0}'], "whole number of at least 1"),
        ([*TRAIN, "--hyperparameters", '{"steps": "many"}'], "'many' is not a number"),
        ([*TRAIN, "--hyperparameters", '{"steps": Infinity}'], "at least 0"),
        ([*TRAIN, "--hyperparameters", '{"learning_rate": -1}'], "at least 0"),
        ([*TRAIN, "--hyperparameters", '{"heads": 9}'], "must be a multiple of topology.heads"),
        ([*TRAIN, "--hyperparameters", "{"], "is not JSON"),
        ([*TRAIN, "--needs", "geometry=junk.safetensors"], "give none"),
        ([*TRAIN, "--device", "cuda:7"], "device"),
        ([*TRAIN, "--precision", "foo"], "precision: 'foo' is not one of 32-true, bf16-mixed"),
        ([*SAMPLE, *WEIGHTS], "junk.safetensors is not a weights file"),
        (
            [*SAMPLE, *WEIGHTS[2:]],
            "give topology=FILE, geometry=FILE, diffusion_2d=FILE, diffusion_3d=FILE",
        ),
        ([*SAMPLE, *WEIGHTS, "--hyperparameters", '{"sampler": "ddmp"}'], "Did you mean 'ddpm'"),
        (["reconstruct", "controls", "--data", "dataset.parquet", "--weights", "a=b", "--out", "r"], "no autoencoder"),
        (RECONSTRUCT, "give topology=FILE, geometry=FILE"),
        ([*RECONSTRUCT, *WEIGHTS], "give topology=FILE, geometry=FILE"),
        ([*RECONSTRUCT, *WEIGHTS[:4]], "junk.safetensors is not a weights file"),
        ([*RECONSTRUCT, "--weights", "topology=none.safetensors", *WEIGHTS[2:4]], "none.safetensors does not exist"),
        ([*RECONSTRUCT, "--weights", "topology=diffusion.safetensors", *WEIGHTS[2:4]], "stage 'diffusion_2d', not of"),
        (["score", "none.parquet", "--reference", "dataset.parquet"], "none.parquet does not exist"),
        (["energy", "none.parquet"], "none.parquet does not exist"),
        (["energy", "dataset.parquet", "--shard", "4/3"], "--shard 4/3: give I/N"),
        (["energy", "dataset.parquet", "--relaxation", "some"], "--relaxation some: give a number of samples, or all"),
        ([*SAMPLE, *WEIGHTS[:-2], "--requests", "none.parquet"], "Give --requests FILE, or --count"),
        (["requests", "uncond", "--data", "dataset.parquet", "--count", "1", "--out", "q.parquet"], "no task 'uncond'"),
        (["energy", "no_split.parquet", "--split", "test"], "no column 'split'"),
        (["table", "qualty", "--benchmark", "d", "--rows", "[]", "--out", "t.csv"], "qualty"),
    ],
)
def test_mistakes_are_answered_in_one_sentence(folder, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["latent3d", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("latent3d: ")
    assert says in message
    left = sorted(path.name for path in folder.iterdir() if path.name != "checkpoints")
    assert left == ["dataset.parquet", "diffusion.safetensors", "junk.safetensors", "no_split.parquet"]


def test_weights_of_other_data_are_announced(folder, dataset, tmp_path, capsys):
    (tmp_path / "same.parquet").write_bytes((folder / "dataset.parquet").read_bytes())
    write_parquet(tmp_path / "other.parquet", dataset.take([0, 1]))
    files = released_weights("latent3d", "qm9_20k")
    state, metadata = read_weights(files["topology"])
    metadata["data_sha256"] = hash_file(folder / "dataset.parquet")
    write_safetensors(tmp_path / "topology.safetensors", state, {"latent3d": json.dumps(metadata)})
    topology = {"topology": tmp_path / "topology.safetensors"}
    for data, announced in (("same", False), ("other", True)):
        check_origin(topology, "latent3d", tmp_path / f"{data}.parquet")
        assert ("topology of latent3d were trained on another file" in capsys.readouterr().err) == announced
