"""Snakemake's own report (`--report report.zip`): every target under its category, with a caption of its own."""

import json
import re
import zipfile

import pytest


@pytest.fixture(scope="module")
def page(finished_run):
    """The page in the archive."""
    assert finished_run("") == {}
    done = finished_run.snakemake("--report", "report.zip")
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(finished_run.folder / "report.zip") as archive:
        return archive.read("report/report.html").decode()


def variable(page, name):
    """A JavaScript variable of the page that holds JSON."""
    start = re.search(rf"var {name} = (?={{\")", page).end()
    return json.JSONDecoder().raw_decode(page, start)[0]


def test_targets_stand_in_categories_by_dataset(page, finished_run):
    categories = variable(page, "categories")
    assert list(categories) == ["Tables", "Figures", "Everything in one page"]
    made = {str(file.relative_to(finished_run.folder)) for file in finished_run.folder.glob("results/*.*")}
    shown = {file for file in made if file.endswith((".csv", ".svg"))}
    assert set(categories["Tables"]["mine"]) == {file for file in shown if "/table_" in file}
    assert set(categories["Figures"]["mine"]) == {file for file in shown if "/fig_" in file}
    assert len(shown) >= 14


def test_every_target_has_a_caption_of_its_own(page):
    results = variable(page, "results")
    captions = {name: result["caption"] for name, result in results.items()}
    assert len(set(captions.values())) == len(captions) >= 15
    for name, text in captions.items():
        assert len(text) > 40 and not re.search(r"[{}]|Undefined", text), name
        assert name.endswith("report.html") or "mine" in text, name
        # A figure that the list of captions does not know would be taken for a sweep.
        assert "sweep" not in text, name
