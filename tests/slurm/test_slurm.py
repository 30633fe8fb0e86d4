"""The suite on a real SLURM: faults of every kind, and the bytes of an undisturbed run on this machine."""

from conftest import THREADS, SubmittedRun


def test_plain(cluster, tmp_path):
    run = SubmittedRun(cluster, tmp_path, *THREADS, "--set-resources", "train:gpu=1", "--default-resources", "mem_mb=1500*attempt", "runtime=10*attempt", "--config", "energy={shards: 3}")
    code = run.end(400)
    print(run.output())
    for job in run.jobs(): print(job)
    assert code == 0
