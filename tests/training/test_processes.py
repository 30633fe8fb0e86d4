"""Training by several processes (torchrun, gloo): the same steps as one process with the same batch."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from latent3d.data.molecules.parquet import write_parquet

SCRIPT = """
import sys
from pathlib import Path
import numpy as np, torch
from safetensors.torch import save_file
from latent3d.base.run import Run
from latent3d.training.loop import train
from latent3d.training.settings import FixedClipping

torch.manual_seed(0)
x, target = torch.randn(64, 5), torch.randn(5, 1)
model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
settings = FixedClipping(steps=30, batch_size=16, learning_rate=1e-2, weight_decay=0.01, warmup=5, clip=0.1, ema=0.9,
                         beta_2=0.99, amsgrad=False, decay="linear")
out = Path(sys.argv[1])
loss = lambda model, rows, generator, step: {"loss": (model(x[rows]) - x[rows] @ target).square().mean()}
run = Run(0, out / "work")
result = train("toy", model, np.ones(64), loss, settings, run)
if run.is_main:
    save_file(result.weights, out / "weights.safetensors")
"""


def torchrun(processes, *arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, timeout=300)


def test_two_processes_take_the_steps_of_one(tmp_path):
    (tmp_path / "toy.py").write_text(SCRIPT)
    weights = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        done = torchrun(processes, tmp_path / "toy.py", folder)
        assert done.returncode == 0, done.stderr
        weights.append(load_file(folder / "weights.safetensors"))
    for key in weights[0]:
        torch.testing.assert_close(weights[0][key], weights[1][key], atol=1e-5, rtol=1e-4)


def test_a_stage_trains_in_two_processes_and_is_written_once(tmp_path, dataset):
    write_parquet(tmp_path / "dataset.parquet", dataset)
    h = {
        "width": 32,
        "layers": 1,
        "heads": 4,
        "steps": 8,
        "batch_size": 4,
        "warmup": 2,
        "beta_2": 0.99,
        "amsgrad": False,
        "decay": "linear",
    }
    command = ["-m", "latent3d.cli", "train", "latent3d", "topology", "--data", tmp_path / "dataset.parquet"]
    command += ["--hyperparameters", json.dumps(h), "--device", "cpu", "--checkpoints", tmp_path / "work"]
    done = torchrun(2, *command, "--out", tmp_path / "topology.safetensors")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "topology.run.json").read_text())["processes"] == 2
    assert done.stderr.count("topology: 8 steps") == 1  # one process reports
    assert load_file(tmp_path / "topology.safetensors")
    assert list((tmp_path / "work").iterdir()) == []


def test_a_signal_to_one_process_stops_all_at_the_same_step(tmp_path):
    script = SCRIPT.replace("steps=30", "steps=20000").replace("import sys", "import os, sys", 1)
    script = script.replace("run = Run(", "(out / os.environ['RANK']).write_text(str(os.getpid()))\nrun = Run(")
    (tmp_path / "toy.py").write_text(script)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    process = subprocess.Popen([*command, tmp_path / "toy.py", tmp_path], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "steps, about" in line:
            break
    os.kill(int((tmp_path / "1").read_text()), signal.SIGTERM)  # not the one that writes checkpoints
    rest = process.communicate(timeout=60)[1]
    assert process.returncode != 0
    stopped = set(re.findall(r"StoppedEarly: toy: saved at step (\d+) of 20000", rest))
    assert len(stopped) == 1, rest
    with safe_open(tmp_path / "work" / "checkpoint.safetensors", framework="pt") as file:
        assert {file.metadata()["step"]} == stopped


@pytest.mark.parametrize("rank", ["0", "1"])
def test_one_process_writes(monkeypatch, tmp_path, rank):
    from latent3d.base.run import Run

    monkeypatch.setenv("RANK", rank)
    assert Run(0, tmp_path).is_main == (rank == "0")
