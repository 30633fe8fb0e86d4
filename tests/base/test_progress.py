import re
import time

import pytest

from latent3d.base import progress
from latent3d.base.progress import Progress, duration


def test_a_line_has_share_rate_and_time_left_of_this_attempt(capsys):
    shown = Progress("edm", 1000, "steps", start=500)
    time.sleep(0.2)
    shown.show(600, "loss 0.5", force=True)
    line = capsys.readouterr().err
    found = re.fullmatch(r"edm: 600/1000 steps \(60 %\), loss 0\.5, (\d+) steps/s, (\d+) s left\n", line)
    assert found, line
    assert 100 < float(found[1]) <= 500  # 100 steps in a bit over 0.2 s, whatever was done before
    assert float(found[2]) == pytest.approx(400 / float(found[1]), abs=0.6)


def test_lines_come_every_ten_seconds_and_at_the_end(capsys, monkeypatch):
    shown = Progress("bonds", 3)
    shown.show(1)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "EVERY", 0.01)
    time.sleep(0.02)
    shown.show(2)
    shown.show(2)
    shown.end()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["bonds: 2/3 (67 %)", "bonds: 3/3 (100 %)"]


def test_what_is_found_finished_does_not_count_for_the_rate(capsys):
    shown = Progress("edm", 1000, "samples")
    shown.found(900)
    shown.show(900, force=True)
    time.sleep(0.2)
    shown.estimate(910)
    shown.show(910, force=True)
    found, estimate, line = capsys.readouterr().err.splitlines()
    assert found == "edm: 900/1000 samples (90 %)"
    assert re.fullmatch(r"edm: 1000 samples, about [2-9] s", estimate)  # 100 of them, 10 in a bit over 0.2 s
    rate = re.fullmatch(r"edm: 910/1000 samples \(91 %\), (.*) samples/s, . s left", line)[1]
    assert 10 < float(rate) <= 50


def test_without_a_label_nothing_is_printed(capsys):
    shown = Progress("", 3)
    shown.estimate(1)
    shown.show(1, force=True)
    shown.end()
    assert capsys.readouterr().err == ""


def test_no_work_is_done_at_once(capsys):
    Progress("bonds", 0, "molecules").end()
    assert capsys.readouterr().err == "bonds: 0/0 molecules (0 %)\n"


def test_the_whole_cost_is_said_once(capsys):
    shown = Progress("edm", 1000.0, "MB", start=500.0)
    time.sleep(0.2)
    shown.estimate(501.0)
    shown.estimate(502.0)
    line = capsys.readouterr().err
    found = re.fullmatch(r"edm: 1000\.0 MB, about (\d\.\d) min\n", line)
    assert found, line
    assert 500 * 0.2 / 60 <= float(found[1]) + 0.05 < 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (99.4, "99 s"), (101, "1.7 min"), (1860, "31 min"), (6001, "1.7 h"), (1e5, "28 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
