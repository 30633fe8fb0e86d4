"""Figures and report are made of synthetic measurements through the command line."""

import re
import subprocess
import sys

import pytest

from latent3d.config import TABLES
from latent3d.errors import UserError
from latent3d.reporting.figures import FIGURES, make_figure
from latent3d.reporting.report import write_report
from latent3d.reporting.style import COLOURS, colour
from latent3d.reporting.tables import make_table, write_table


def latent3d(*arguments):
    command = [sys.executable, "-m", "latent3d.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def shown(folder):
    """Tables and figures of `toy` in a folder."""
    return sorted([*folder.glob("table_*toy.csv"), *folder.glob("fig_*_toy.svg")])


@pytest.fixture(scope="session")
def made(results, rows, rows_json):
    """Tables and figures of `toy`; one of each by the commands that the workflow calls."""
    common = ["--dataset", "toy", "--rows", rows_json, "--results", results]
    for name in TABLES[1:]:
        write_table(results / f"table_{name}_toy.csv", make_table(name, "toy", rows, results))
    for name in FIGURES[1:]:
        make_figure(name, "toy", rows, results, results / f"fig_{name}_toy.svg")
    for kind, out in (("table", "table_toy.csv"), ("figure", "fig_quality_toy.svg")):
        done = latent3d(kind, "quality", *common, "--out", results / out)
        assert done.returncode == 0, done.stderr
    return results


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_vector_and_png_and_repeat_byte_for_byte(made, rows, tmp_path, name):
    assert (made / f"fig_{name}_toy.png").read_bytes().startswith(b"\x89PNG")
    make_figure(name, "toy", rows, made, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_bytes() == (made / f"fig_{name}_toy.svg").read_bytes()


def test_report_is_one_file_that_opens_offline(made):
    out = made / "report.html"
    done = latent3d("report", *shown(made), "--results", made, "--datasets", "toy", "--out", out)
    assert done.returncode == 0, done.stderr
    page = out.read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "@import" not in page
    assert page.count('<img src="data:image/svg+xml;base64,') == len(FIGURES)
    assert "83.0 ± 2.6" in page  # molecule stability of `ours`, over four sets of samples
    assert "decode_failed 16" in page and "relaxation: decode_failed 16, topology_changed 2" in page
    assert "rdkit 2026.9.1" in page
    assert "ab" * 32 in page


def test_what_an_earlier_configuration_left_is_not_shown(made, tmp_path):
    now = [file for file in shown(made) if file.name not in ("table_cost_toy.csv", "fig_training_toy.svg")]
    write_report(now, made, ["toy"], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Energies (GFN2" in page and "Training curves" not in page and ">Cost<" not in page
    assert page.count('<img src="data:image/svg+xml;base64,') == len(FIGURES) - 1


def test_names_from_files_cannot_become_markup(made, tmp_path):
    for file in made.glob("table_*toy.csv"):
        (tmp_path / file.name).write_text(file.read_text().replace("decode_failed", "<script>alert(1)</script>"))
    (tmp_path / "toy").symlink_to(made / "toy")
    write_report(shown(tmp_path), tmp_path, ["toy"], tmp_path / "report.html")
    assert "<script>alert" not in (tmp_path / "report.html").read_text()


def test_colour_depends_on_the_place_in_the_configuration_alone(rows):
    assert [colour(row) for row in rows] == [COLOURS[0], COLOURS[4], COLOURS[5]]


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(UserError, match=r"table_toy.csv does not exist"):
        write_report([tmp_path / "table_toy.csv"], tmp_path, ["toy"], tmp_path / "report.html")
    with pytest.raises(UserError, match=r"table_toy.csv is not among"):
        write_report([], tmp_path, ["toy"], tmp_path / "report.html")


def test_an_unknown_table_ends_in_one_sentence(made):
    done = latent3d("table", "qualty", "--dataset", "toy", "--rows", "[]", "--out", made / "x.csv")
    assert done.returncode == 2
    assert done.stderr == (
        "latent3d: There is no table 'qualty'. Choose one of: quality, distribution, energy, autoencoder, cost.\n"
    )
