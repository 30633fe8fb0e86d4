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


def test_without_a_label_nothing_is_printed(capsys):
    shown = Progress("", 3)
    shown.estimate(1)
    shown.show(1, force=True)
    shown.end()
    assert capsys.readouterr().err == ""


def test_no_work_is_done_at_once(capsys):
    Progress("bonds", 0, "molecules").end()
    assert capsys.readouterr().err == "bonds: 0/0 molecules (0 %), 0.0 molecules/s, 0 s left\n"


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
