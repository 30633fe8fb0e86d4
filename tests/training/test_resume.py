"""Kill -9 in the middle of training and sampling, run again: the same bytes as without interruption."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from latent3d.base.files import hash_file
from latent3d.commands.requests import write_requests
from latent3d.data.molecules.parquet import read_metadata, read_parquet, write_parquet
from latent3d.plan import Row, hyperparameters, system_defaults

COMMON = {
    **{"steps": 40, "batch_size": 4, "learning_rate": 1e-3, "weight_decay": 0.01, "beta_2": 0.99, "amsgrad": False},
    **{"warmup": 5, "decay": "linear", "clip": 1.0, "ema": 0.99},
}
NETWORK = {"atom_latent": 2, "width": 32, "layers": 2, "heads": 4}
SMALL = {
    "topology": {**COMMON, **NETWORK, "beta": 0.01, "steps": 120},
    "geometry": {**COMMON, **NETWORK, "beta": 0.001, "spring_steps": 2, "spring_steps_inference": 5},
    "diffusion_2d": {**COMMON, "width": 32, "blocks": 2},
    "diffusion_3d": {**COMMON, "width": 32, "blocks": 2, "network": "mlp"},
    "guide_2d": {**COMMON, "width": 16, "blocks": 1},
    "guide_3d": {**COMMON, "width": 16, "blocks": 1, "network": "mlp"},
    "sampling": {"sampler": "ddpm", "steps": 10},
}
HYPERPARAMETERS = {stage: hyperparameters(Row(base="latent3d", overrides=SMALL), stage, "quick") for stage in SMALL}
TRAIN = """
import sys, json
from pathlib import Path
from latent3d.base.run import Run
from latent3d.commands.train import train_stage
from latent3d.systems.latent3d.settings import Topology
data, out, work, h = sys.argv[1:]
settings, run = Topology(**json.loads(h)), Run(0, Path(work), checkpoint_every=0.0)
train_stage("latent3d", "topology", Path(data), {}, settings, run, Path(out))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, dataset):
    folder = tmp_path_factory.mktemp("resume")
    write_parquet(folder / "dataset.parquet", dataset)
    return folder


def latent3d(*arguments, **kwargs):
    command = [sys.executable, "-m", "latent3d.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **kwargs)


def kill_when(condition, command):
    """Start a command, wait for the condition, and kill it as the system would."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "the command ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def train(folder, stage, name, *more):
    out = folder / name / f"{stage}.safetensors"
    h = json.dumps(HYPERPARAMETERS[stage])
    arguments = ["--data", folder / "dataset.parquet", "--hyperparameters", h, "--checkpoints", folder / name / "work"]
    return out, latent3d("train", "latent3d", stage, *arguments, "--out", out, "--device", "cpu", *more)


@pytest.fixture(scope="module")
def weights(folder):
    found = {}
    for stage, needs in system_defaults("latent3d").stages.items():
        named = [word for need in needs for word in ("--needs", f"{need}={found[need]}")]
        found[stage], result = train(folder, stage, "whole", *named)
        assert result.returncode == 0, result.stderr
    return found


def test_training_killed_twice_ends_with_the_same_bytes(folder, weights):
    work, out = folder / "killed" / "work", folder / "killed" / "topology.safetensors"
    h = json.dumps(HYPERPARAMETERS["topology"])
    command = [sys.executable, "-c", TRAIN, str(folder / "dataset.parquet"), str(out), str(work), h]
    stamps = set()

    def new_checkpoint():
        for path in work.glob("*/checkpoint.safetensors"):
            stamp = path.stat().st_mtime_ns
            if stamp not in stamps and len(stamps) >= 3:
                return True
            stamps.add(stamp)
        return False

    for _ in range(2):
        stamps.clear()
        kill_when(new_checkpoint, command)
        assert not out.exists()
    result = subprocess.run(command, capture_output=True, text=True)
    assert "resumed at step" in result.stderr
    assert out.read_bytes() == weights["topology"].read_bytes()
    assert list(work.iterdir()) == []  # nothing unfinished is left


def signal_in_the_loop(command, number):
    """Start a training command, send it a signal while it takes steps; returns its exit code and what it said."""
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "steps, about" in line:
            break
    process.send_signal(number)
    rest = process.communicate(timeout=60)[1]
    return process.returncode, rest


def test_a_signal_to_stop_saves_and_the_next_attempts_end_with_the_same_bytes(folder):
    h = json.dumps({**HYPERPARAMETERS["topology"], "steps": 400})
    command = [sys.executable, "-m", "latent3d.cli", "train", "latent3d", "topology", "--hyperparameters", h]
    command += ["--data", folder / "dataset.parquet", "--device", "cpu"]
    whole, out, work = folder / "whole.safetensors", folder / "signalled.safetensors", folder / "signalled"
    subprocess.run([*command, "--out", whole, "--checkpoints", folder / "unused"], check=True, capture_output=True)
    command += ["--out", out, "--checkpoints", work]
    for number in (signal.SIGTERM, signal.SIGUSR1):
        code, said = signal_in_the_loop(command, number)
        assert (code, out.exists()) == (75, False)
        assert "run again to continue" in said and "Traceback" not in said
        assert len(list(work.glob("*/checkpoint.safetensors"))) == 1
    result = subprocess.run(command, capture_output=True, text=True)
    assert "resumed at step" in result.stderr
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("stage", ["topology", "geometry"])
def test_mixed_precision_trains(folder, stage):
    _, result = train(folder, stage, "mixed", "--precision", "bf16-mixed")
    assert result.returncode == 0, result.stderr


def test_time_limit_saves_stops_with_its_own_code_and_resumes(folder, weights):
    out, result = train(folder, "topology", "limited", "--time-limit", "0.000001")
    assert result.returncode == 75
    assert "run again" in result.stderr
    assert not out.exists()
    out, result = train(folder, "topology", "limited")
    assert result.returncode == 0
    assert "resumed at step 1 " in result.stderr
    assert out.read_bytes() == weights["topology"].read_bytes()


def test_a_truncated_checkpoint_starts_anew_and_says_so(folder, weights):
    train(folder, "topology", "truncated", "--time-limit", "0.000001")
    [checkpoint] = (folder / "truncated" / "work").glob("*/checkpoint.safetensors")
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    out, result = train(folder, "topology", "truncated")
    assert "training starts anew" in result.stderr
    assert out.read_bytes() == weights["topology"].read_bytes()


def sampling_command(folder, weights, out, count=250):
    named = [word for stage, path in weights.items() for word in ("--weights", f"{stage}={path}")]
    arguments = ["--data", folder / "dataset.parquet", "--hyperparameters", json.dumps(HYPERPARAMETERS["sampling"])]
    requests = folder / f"requests{count}.parquet"
    write_requests("unconditional", folder / "dataset.parquet", {}, count, [3], requests)
    more = ["--requests", requests, "--out", out / "samples.parquet", "--checkpoints", out / "work", "--device", "cpu"]
    return ["sample", "--system", "latent3d", *arguments, *named, *more]


def test_sampling_killed_in_the_middle_ends_with_the_same_bytes(folder, weights):
    result = latent3d(*sampling_command(folder, weights, folder / "sampled"))
    assert result.returncode == 0, result.stderr
    whole = folder / "sampled" / "samples.parquet"
    # Every sample can be traced to its weights.
    assert read_metadata(whole)["weights_sha256"] == {name: hash_file(path) for name, path in weights.items()}
    command = [sys.executable, "-m", "latent3d.cli", *map(str, sampling_command(folder, weights, folder / "cut"))]
    kill_when(lambda: any((folder / "cut").glob("work/*/3-0-100.parquet")), command)
    again = folder / "cut" / "samples.parquet"
    assert not again.exists()
    # What a kill leaves while a chunk is written, and a last chunk of another count.
    [chunks] = (folder / "cut" / "work").iterdir()
    (chunks / ".3-100-200-abc.parquet").write_bytes(b"half")
    (chunks / "3-200-230.parquet").write_bytes((chunks / "3-0-100.parquet").read_bytes())
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert again.read_bytes() == whole.read_bytes()
    # What is finished stays for more seeds or samples.
    assert {path.name for path in chunks.glob("3*")} > {"3-0-100.parquet", "3-100-200.parquet", "3-200-250.parquet"}


def test_sampling_time_counts_the_attempts_before(folder, weights):
    latent3d(*sampling_command(folder, weights, folder / "timed"))
    [whole] = (folder / "timed").glob("run.json")
    command = [sys.executable, "-m", "latent3d.cli", *map(str, sampling_command(folder, weights, folder / "slow"))]
    kill_when(lambda: any((folder / "slow").glob("work/*/3-0-100.parquet")), command)
    [chunk] = (folder / "slow").glob("work/*/3-0-100.parquet")
    write_parquet(chunk, read_parquet(chunk), {"seconds": 1000.0})
    subprocess.run(command, capture_output=True, check=True)
    [slow] = (folder / "slow").glob("run.json")
    assert json.loads(whole.read_text())["seconds"] < 1000 < json.loads(slow.read_text())["seconds"]


def test_a_sample_does_not_depend_on_how_many_are_drawn(folder, weights):
    latent3d(*sampling_command(folder, weights, folder / "many", 250))
    latent3d(*sampling_command(folder, weights, folder / "few", 30))
    many, few = (read_parquet(folder / n / "samples.parquet") for n in ("many", "few"))
    assert (many.positions[: len(few.positions)] == few.positions).all()
    assert many.table["sample_index"].tolist() == list(range(250))


@pytest.mark.parametrize("stage", ["topology"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(folder, stage):
    # The limit on file size stands for the full disk: writing beyond it fails in the middle of the file.
    out = folder / "full" / "topology.safetensors"
    h = json.dumps(HYPERPARAMETERS[stage])
    command = (
        f"ulimit -f 40; exec {sys.executable} -m latent3d.cli train latent3d topology --data {folder}/dataset.parquet"
    )
    command += f" --hyperparameters '{h}' --out {out} --checkpoints {folder}/full/work --device cpu"
    result = subprocess.run(["bash", "-c", f"trap '' XFSZ; {command}"], capture_output=True, text=True, timeout=300)
    assert result.returncode == 2
    assert "Cannot write" in result.stderr
    assert "Traceback" not in result.stderr
    assert [p for p in (folder / "full").rglob("*") if p.is_file()] == []


def test_ctrl_c_is_one_sentence(folder):
    h = json.dumps({**HYPERPARAMETERS["topology"], "steps": 100000})
    command = [sys.executable, "-m", "latent3d.cli", "train", "latent3d", "topology", "--hyperparameters", h]
    for option, file in (("data", "dataset.parquet"), ("out", "never.safetensors"), ("checkpoints", "interrupted")):
        command += [f"--{option}", str(folder / file)]
    code, rest = signal_in_the_loop(command, signal.SIGINT)
    assert code == 130
    assert "interrupted; run the same command again" in rest
    assert "Traceback" not in rest
    assert not Path(folder / "never.safetensors").exists()
