"""The suite on a real SLURM: faults of every kind in one run, whose results are those of an undisturbed one."""

import re
import shutil
import signal

import pytest
from cluster import wait_for
from submitted import TABLES, THREADS, SubmittedRun

RESOURCES = [
    # 400 MB are too little for the first attempt.
    *("--set-resources", "prepare:mem_mb=400*attempt**2", "train:gpu=1"),
    # Training is told to stop half a minute before its limit of two, at the latest; SLURM looks every 30 seconds.
    *("train:runtime=2*attempt", "train:slurm_extra='--signal=TERM@30'"),
    *("--default-resources", "mem_mb=1500*attempt", "runtime=10*attempt"),
]
SAMPLES = [f"results/mini/{row}/train0/raw/samples.parquet" for row in ("data_test", "latent3d")]
IN_THE_LOOP = "steps, about"


@pytest.fixture(scope="module")
def run(cluster, local_run, tmp_path_factory):
    """A finished run in which everything went wrong once; the undisturbed one goes on beside it."""
    folder = tmp_path_factory.mktemp("run")
    with SubmittedRun(cluster, folder, *THREADS, *RESOURCES, "--config", "energy={shards: 2}") as run:
        try:
            # Trainings that take longer than their time limit, on any machine. With its signals, SLURM lets them go on.
            going = {"topology", "geometry"}
            wait_for(lambda: not suspend_in_the_loop(run, going), "both autoencoders train", 240)
            cancel_on_a_drained_node(cluster, run, "topology")
            wait_for(lambda: "resumed at step" in run.log("topology"), "topology trains again", 120)
            run.training_process("topology").kill()
            assert run.end(400) == 0
        except BaseException:
            print(run.output(), cluster.log(), sep="\n")
            raise
    return run


def suspend_in_the_loop(run, stages):
    """Suspend the trainings that have begun, and take them out of `stages`; returns those that have not."""
    for stage in [stage for stage in stages if IN_THE_LOOP in run.log(stage)]:
        run.training_process(stage).suspend()
        stages.remove(stage)
    return stages


def cancel_on_a_drained_node(cluster, run, stage):
    """Drain the node, cancel the training of a stage, and give the node back when the next attempt waits for it."""
    [job] = run.jobs("train", stage)
    node = cluster.slurm("sinfo", "--noheader", "--format=%n").strip()
    cluster.slurm("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    cluster.slurm("scancel", str(job.number))
    wait_for(lambda: len(run.jobs("train", stage)) == 2, "the next attempt is submitted", 120)
    assert run.jobs("train", stage)[1].state == "PENDING"
    cluster.slurm("scontrol", "update", f"nodename={node}", "state=resume")


def test_results_are_those_of_an_undisturbed_run_on_one_machine(run, local_run):
    local = local_run()
    for file in [*TABLES[:2], *SAMPLES]:
        assert (run.folder / file).read_bytes() == (local / file).read_bytes(), file
    cost = (run.folder / TABLES[2]).read_text()
    assert len(cost.splitlines()) == len((local / TABLES[2]).read_text().splitlines())


def test_a_job_out_of_memory_asks_for_more(run):
    first, second = run.jobs("prepare")
    assert (first.memory, second.memory) == ("400M", "1600M")
    assert first.state != "COMPLETED" and second.state == "COMPLETED"
    assert "exceeded memory limit" in run.submission_log(first)


def test_training_told_to_stop_before_its_limit_saves_and_continues(run):
    first, second = run.jobs("train", "geometry")
    assert (first.state, second.state) == ("FAILED", "COMPLETED")
    saved = re.search(r"geometry: saved at step (\d+) of", run.submission_log(first)).group(1)
    assert f"resumed at step {saved} of" in run.log("geometry")


def test_training_cancelled_on_a_drained_node_then_killed_continues(run):
    cancelled, killed, last = run.jobs("train", "topology")
    assert (cancelled.state, killed.state, last.state) == ("CANCELLED", "FAILED", "COMPLETED")
    saved = re.search(r"topology: saved at step (\d+) of", run.submission_log(cancelled)).group(1)
    assert f"resumed at step {saved} of" in run.submission_log(killed)
    assert f"resumed at step {saved} of" in run.log("topology")
    # Nothing of a finished training stays; finished chunks of samples and energies do.
    kept = {path.name.split("-")[0] for path in (run.folder / "checkpoints").iterdir()}
    assert kept == {"sample", "energy"}


def test_jobs_with_a_gpu_go_to_its_partition_and_the_others_do_not(run):
    for job in run.jobs():
        trains = job.rule.startswith("rule_train")
        assert (job.partition == "gpu") == trains, job
        assert job.generic == ("gres:gpu:1" if trains else "N/A"), job


def test_grouped_shards_are_few_submissions_with_the_same_energies(cluster, run):
    files = [run.folder / f"results/mini/{row}/train0/raw/energies.parquet" for row in ("data_test", "latent3d")]
    before = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    shutil.rmtree(run.folder / "checkpoints")  # where their finished chunks are
    options = ["--config", "energy={shards: 6}", "--until", "energy"]
    options += ["--groups", "energy_shard=energy", "--group-components", "energy=6"]
    with SubmittedRun(cluster, run.folder, *THREADS, *RESOURCES, *options) as grouped:
        assert grouped.end(300) == 0, grouped.output()
    # 12 shards in two submissions, and a job of each row that puts them together. 6 shards would ask for 6 cores, more
    # than there are.
    assert (
        sorted((job.cores, job.state) for job in grouped.jobs()) == [("1", "COMPLETED")] * 2 + [("4", "COMPLETED")] * 2
    )
    assert [file.read_bytes() for file in files] == before


def test_nothing_else_was_attempted_twice(run):
    rules = [job.rule for job in run.jobs()]
    twice = {rule.rpartition("_")[2] for rule in rules if rules.count(rule) > 1}
    assert twice == {"mini", "topology", "geometry"}, rules  # mini: the one job of `prepare`


def test_ctrl_c_cancels_the_jobs_and_training_saves(cluster, run):
    for folder in (run.folder / "results" / "mini" / "latent3d", run.folder / "logs"):
        shutil.rmtree(folder)
    with SubmittedRun(cluster, run.folder, *THREADS, *RESOURCES, "--until", "train") as interrupted:
        wait_for(lambda: IN_THE_LOOP in interrupted.log("topology"), "topology trains", 120)
        interrupted.process.send_signal(signal.SIGINT)
        assert interrupted.end(120) != 0
    wait_for(lambda: "saved at step" in interrupted.log("topology"), "training has saved", 30)
    wait_for(lambda: {job.state for job in interrupted.jobs()} == {"CANCELLED"}, "both jobs are cancelled", 30)
    assert len(list(run.folder.glob("checkpoints/topology-*/checkpoint.safetensors"))) == 1
