"""A worker that dies or hangs costs its own task only."""

import contextlib
import os
import signal
import threading
import time

import psutil
import pytest

from latent3d.base.workers import Outcome, Workers
from tasks import die_while_answering, process_id, square, thread_settings


def test_results_come_in_the_order_of_the_tasks():
    with Workers(square, 2, 30) as workers:
        assert workers.map(list(range(12))) == [Outcome("ok", n**2) for n in range(12)]
        assert workers.map([]) == []
        assert workers.map([5]) == [Outcome("ok", 25)]


def test_a_killed_and_a_hanging_task_cost_only_themselves():
    seen = {}
    with Workers(square, 2, 1.5) as workers:
        outcomes = workers.map([1, -1, 2, -2, 3, -3, 4, -1, 5], finished=seen.__setitem__)
    assert [outcome.status for outcome in outcomes] == [
        "ok",
        "crashed",
        "ok",
        "timeout",
        "ok",
        "scf_failed",
        "ok",
        "crashed",
        "ok",
    ]
    assert [outcome.value for outcome in outcomes if outcome.status == "ok"] == [1, 4, 9, 16, 25]
    assert seen == dict(enumerate(outcomes))


def test_a_worker_killed_from_outside_is_replaced():
    victims = []
    others = {child.pid for child in psutil.Process().children()}

    def kill_one():
        deadline = time.monotonic() + 20
        while not victims and time.monotonic() < deadline:
            for child in psutil.Process().children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if child.pid not in others and "spawn_main" in " ".join(child.cmdline()) and not victims:
                        time.sleep(1.0)
                        os.kill(child.pid, signal.SIGKILL)
                        victims.append(child.pid)
            time.sleep(0.05)

    with Workers(process_id, 1, 30) as workers:
        workers.map([0])
        killer = threading.Thread(target=kill_one)
        killer.start()
        outcomes = workers.map(list(range(8)))
        killer.join()
    assert len(victims) == 1
    assert [outcome.status for outcome in outcomes].count("crashed") == 1
    survivors = {outcome.value for outcome in outcomes if outcome.status == "ok"}
    assert len(survivors) == 2 and victims[0] in survivors


def test_a_worker_killed_while_it_answers_costs_its_own_task():
    with Workers(die_while_answering, 2, 30) as workers:
        outcomes = workers.map([0, 0.001, 0.003, 0.005, 0.01, 0])
    statuses = [outcome.status for outcome in outcomes]
    assert statuses[0] == statuses[-1] == "ok" and "crashed" in statuses
    assert all(len(outcome.value[0]) == 100_000_000 for outcome in outcomes if outcome.status == "ok")


def test_a_worker_killed_while_it_is_idle_costs_nothing():
    with Workers(process_id, 2, 30) as workers:
        idle = {outcome.value for outcome in workers.map([0, 1])}
        for pid in idle:
            os.kill(pid, signal.SIGKILL)
            while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)
        outcomes = workers.map([0, 1, 2])
    assert [outcome.status for outcome in outcomes] == ["ok"] * 3
    assert not idle & {outcome.value for outcome in outcomes}


def test_a_bug_is_not_taken_for_a_failed_molecule():
    with Workers(square, 1, 30) as workers, pytest.raises(RuntimeError, match="a bug"):
        workers.map([1, -4])


def test_workers_have_one_thread_whatever_the_user_has_set(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    with Workers(thread_settings, 1, 30) as workers:
        assert workers.map([0])[0].value == ["1", "1", "1"]
    assert os.environ["OMP_NUM_THREADS"] == "8"


def test_no_worker_outlives_the_pool():
    with Workers(process_id, 2, 30) as workers:
        pids = {outcome.value for outcome in workers.map([0, 1, 2])}
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_progress_names_the_rate_and_the_time_left(capsys):
    with Workers(square, 1, 30) as workers:
        workers.map([1, 2, 3], label="squares")
    assert "squares: 3/3 (100 %)" in capsys.readouterr().err
