"""What becomes of a job's shell, its command and its log when a cluster signals all of them."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]


def test_a_signal_to_all_processes_of_a_training_job_lets_it_save_and_say_so(tmp_path):
    (tmp_path / "my.yaml").write_text("device: cpu\ndatasets: {mini: {preset: quick}}\n")
    target = "results/mini/latent3d/train0/topology.safetensors"
    command = [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", target]
    command += ["--configfile", "my.yaml", "--cores", "1"]
    log = tmp_path / "logs" / "mini" / "latent3d" / "train0" / "topology.log"
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=output)
    deadline = time.monotonic() + 120
    while not (log.is_file() and "steps, about" in log.read_text()):
        assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "output").read_text()
        time.sleep(0.1)
    for child in psutil.Process(process.pid).children(recursive=True):
        child.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) != 0
    assert "exit status 75" in (tmp_path / "output").read_text()
    assert "latent3d: topology: saved at step" in log.read_text()
    assert len(list(tmp_path.glob("checkpoints/topology-*/checkpoint.safetensors"))) == 1
