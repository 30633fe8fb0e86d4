"""Figures and report are made of synthetic measurements through the command line."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from commands import latent3d, shown
from scipy.spatial.transform import Rotation

from latent3d.base.errors import UserError
from latent3d.base.layout import Layout
from latent3d.data.molecules.molecules import ELEMENTS
from latent3d.data.molecules.parquet import read_parquet
from latent3d.reporting.catalogue import COMPARISON, FIGURES, SWEEP, TABLES
from latent3d.reporting.figures import comparison_figure, sweep_figure
from latent3d.reporting.gallery import gallery
from latent3d.reporting.make import make_figure
from latent3d.reporting.material import Material
from latent3d.reporting.report import Chapter, write_report
from latent3d.reporting.report_tables import failure_matrix, layout
from latent3d.reporting.rows import parse_rows
from latent3d.reporting.style import COLOURS, colour
from latent3d.reporting.tables import quality_table


@pytest.fixture(scope="session")
def chapter(material):
    return Chapter(material, TABLES, FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_vector_and_png_and_repeat_byte_for_byte(made, material, published, tmp_path, name):
    assert (made / f"fig_{name}_toy.png").read_bytes().startswith(b"\x89PNG")
    make_figure(FIGURES[name], replace(material, published=published), tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_bytes() == (made / f"fig_{name}_toy.svg").read_bytes()


def test_a_sweep_is_a_line_per_row_and_setting(material, tmp_path):
    # The toy rows as variants: `data_test` at 4 steps and `ours` at 16 of one line, `cloud` of another sampler.
    settings = {"data_test": ("ddim", 4), "ours": ("ddim", 16), "cloud": ("ddpm", 4)}
    known = {"base": "latent3d", "position": 1, "dataset": "toy", "variants": ["raw"], "train_seeds": [0]}
    known |= {"sample_seeds": [0, 1]}
    swept = [
        {**known, "name": name, "of": "ours", "settings": {"sampling.sampler": sampler, "sampling.steps": steps}}
        for name, (sampler, steps) in settings.items()
    ]
    of_sweep = replace(material, rows=parse_rows(json.dumps(swept)))
    figure = sweep_figure(of_sweep)
    lines = [container for container in figure.axes[0].containers if container.get_label()]
    drawn = {line.get_label(): line.lines[0].get_xydata() for line in lines}
    assert set(drawn) == {"ours, ddim", "ours, ddpm"}
    np.testing.assert_allclose(drawn["ours, ddim"], [[4, 81], [16, 81]])  # molecule stability, % over two seeds
    np.testing.assert_allclose(drawn["ours, ddpm"], [[4, 0]])
    assert figure.axes[0].get_xlabel() == "steps"
    make_figure(SWEEP, of_sweep, tmp_path / "fig_steps_toy.svg")
    assert (tmp_path / "fig_steps_toy.png").is_file()


def test_a_sweep_of_autoencoders_shows_what_they_reconstruct(material):
    known = {"base": "latent3d", "position": 1, "dataset": "toy", "variants": ["raw"], "train_seeds": [0, 1]}
    known |= {"sample_seeds": [0, 1]}
    swept = [{**known, "name": "ours", "of": "ours", "autoencoder": True, "settings": {"topology.latent": 8}}]
    figure = sweep_figure(replace(material, rows=parse_rows(json.dumps(swept))))
    below = {axis.get_title(): axis for axis in figure.axes[4:]}
    assert len(below) == 4
    drawn = [axis.containers[0].lines[0].get_xydata().tolist() for axis in figure.axes[4:6]]
    np.testing.assert_allclose(drawn, [[[8, 91]], [[8, 0.2]]])  # exact graphs in %, RMSD in angstrom, over two seeds


def test_a_comparison_has_bars_of_its_rows_alone(material, rows, tmp_path):
    compared = replace(material, rows=[rows[2], rows[1]])
    figure = comparison_figure(compared)
    axis = figure.axes[1]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["ours", "cloud"]
    widths = [bar.get_width() for container in axis.containers for bar in getattr(container, "patches", [])]
    np.testing.assert_allclose(widths, [83, 83, 0])  # raw, after MMFF94: mean of 80, 82, 84, 86 %; cloud
    make_figure(COMPARISON, compared, tmp_path / "fig_compared_toy.svg")
    assert (tmp_path / "fig_compared_toy.png").is_file()


def test_report_is_one_file_that_opens_offline(report):
    page = report.read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page.partition('id="viewer-gzip"')[0])
    assert "default-src 'none'" in page and "@import" not in page
    assert page.count('<img src="data:image/svg+xml;base64,') == len(FIGURES)
    assert "ab" * 32 in page
    assert page.count("rdkit 2026.9.1") == 1
    assert '83.0<span class="std"> ± 2.6</span>' in page  # molecule stability of `ours`, over four sets of samples


def test_tables_have_groups_of_columns_with_their_meaning(material, published):
    shown = layout(quality_table(replace(material, published=published)))
    assert [group["name"] for group in shown["groups"]][:2] == ["Legacy EDM protocol", "Chemistry"]
    assert shown["groups"][-1] == {"number": 4, "name": "Seeds and counts", "size": 3, "shown": False}
    assert shown["groups"][0]["shown"] and sum(group["size"] for group in shown["groups"]) == len(shown["heads"])
    heads = {head["column"].name: head["column"] for head in shown["heads"]}
    assert heads["legacy_validity_pct_up"].label == "validity (%,\u00a0↑)"
    assert (
        "higher is better" in heads["legacy_validity_pct_up"].tip and "Unit: %" in heads["legacy_validity_pct_up"].tip
    )
    (ours,) = [line for line in shown["lines"] if (line["row"], line["geometry"]) == ("ours", "mmff")]
    cells = dict(zip(heads, ours["cells"], strict=True))
    theirs = cells["ldm3dg_atom_stability_pct_up_published"]
    assert theirs["published"] and theirs["tip"].startswith("ldm3dg: ldm3dg_notebook, ")
    assert heads["ldm3dg_atom_stability_pct_up_published"].tip.startswith("Published by others")
    assert not cells["legacy_atom_stability_pct_up"]["published"]


def test_failures_are_counted_by_reason_over_all_seeds(report):
    page = report.read_text()
    assert re.search(r"cloud<.*?>16</td><td[^>]*>16</td><td[^>]*--share:100.0%[^>]*>16</td>", page)
    assert "topology changed" in page and "GFN2-xTB relaxation" in page
    matrix = failure_matrix([("a", "raw", 10, {"x": 1}), ("b", "raw", 10, {"y": 5, "x": 2}), ("c", "raw", 10, {})])
    assert matrix["reasons"] == ["y", "x"]
    assert [line["failed"] for line in matrix["lines"]] == [1, 7, 0]
    assert [cell["count"] for cell in matrix["lines"][1]["cells"]] == [5, 2]


def test_gallery_has_every_sample_with_its_verdicts(material):
    samples = gallery([material])["benchmarks"]["toy"]["ours"]["raw"]
    both_seeds = read_parquet(material.of_samples(material.rows[2], "raw", "samples.parquet")[0])
    molecules = both_seeds.take(np.arange(8))
    assert len(samples) == len(molecules)  # failures included
    for number, (sample, molecule) in enumerate(zip(samples, molecules, strict=True)):
        assert sample["facts"]["index"] == [str(number), None]
        assert [ELEMENTS[z] for z in molecule.atomic_numbers] == sample["elements"]
        if len(molecule) > 3:  # those of three atoms have no one rotation
            # Turned and moved, not bent or mirrored.
            drawn = np.array(sample["positions"]).reshape(-1, 3)
            bonds = np.array(sample["bonds"]).reshape(-1, 3)
            assert (bonds[:, :2] == molecule.bonds).all() and (bonds[:, 2] == molecule.bond_orders).all()
            _, error = Rotation.align_vectors(drawn, molecule.positions - molecule.positions.mean(0))
            assert error < 0.01
    assert samples[0]["facts"]["strict"] == ["yes", True]
    assert samples[0]["facts"]["posebusters"] == ["bond angles", False]
    assert samples[0]["facts"]["relaxation"] == ["0.5 kcal/mol", None]
    assert samples[1]["facts"]["strict"] == ["decode failed", False] and samples[1]["elements"] == []
    assert samples[4]["facts"]["strict"] == ["charged", False]
    assert samples[5]["facts"]["relaxation"] == ["121.5 kcal/mol; its bonds changed", False]
    assert "relaxation" not in samples[6]["facts"]  # was not asked for


def test_what_an_earlier_configuration_left_is_not_shown(made, chapter, tmp_path):
    now = [file for file in shown(made) if file.name not in ("table_cost_toy.csv", "fig_training_toy.svg")]
    write_report(now, [chapter], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Energies (GFN2" in page and "Training curves" not in page and ">Cost</h3>" not in page
    assert page.count('<img src="data:image/svg+xml;base64,') == len(FIGURES) - 1


def test_names_from_files_cannot_become_markup(made, material, tmp_path):
    script = "<script>alert(1)</script>"
    shutil.copytree(made, tmp_path / "results")
    for file in (tmp_path / "results").glob("table_*toy.csv"):
        file.write_text(file.read_text().replace("cloud,", f"{script.replace('/', '|')},"))
    (tmp_path / "results" / "toy" / "cloud").rename(tmp_path / "results" / "toy" / script.replace("/", "|"))
    for file in (tmp_path / "results").rglob("ledger.csv"):
        file.write_text(file.read_text().replace("charged", script))
    rows = [row.model_copy(update={"name": script.replace("/", "|")}) if row.name == "cloud" else row
            for row in material.rows]  # fmt: skip
    moved = Chapter(Material("toy", rows, Layout(tmp_path / "results")), TABLES, FIGURES)
    write_report(shown(tmp_path / "results"), [moved], tmp_path / "report.html")
    assert "<script>alert" not in (tmp_path / "report.html").read_text()


def test_colour_depends_on_the_place_in_the_configuration_alone(rows):
    assert [colour(row) for row in rows] == [COLOURS[0], COLOURS[4], COLOURS[5]]


def test_a_missing_table_is_named(chapter, tmp_path):
    with pytest.raises(UserError, match=r"table_toy.csv does not exist"):
        write_report([tmp_path / "table_toy.csv"], [chapter], tmp_path / "report.html")
    with pytest.raises(UserError, match=r"table_toy.csv is not among"):
        write_report([], [chapter], tmp_path / "report.html")


def test_a_missing_ledger_is_named(made, material, tmp_path):
    shutil.copytree(made, tmp_path / "results")
    (tmp_path / "results" / "toy" / "cloud" / "train0" / "raw" / "ledger.csv").unlink()
    moved = Chapter(replace(material, layout=Layout(tmp_path / "results")), TABLES, FIGURES)
    with pytest.raises(UserError, match=r"cloud/train0/raw/ledger.csv cannot be read .* Score its samples"):
        write_report(shown(tmp_path / "results"), [moved], tmp_path / "report.html")


def test_an_unknown_table_ends_in_one_sentence(made):
    done = latent3d("table", "qualty", "--benchmark", "toy", "--rows", "[]", "--out", made / "x.csv")
    assert done.returncode == 2
    assert done.stderr == (
        "latent3d: There is no table 'qualty'. Choose one of: quality, distribution, energy, autoencoder, cost.\n"
    )


def test_figures_of_the_configuration_have_titles_of_their_kind(made, rows_json, tmp_path):
    figure = (made / "fig_quality_toy.svg").read_bytes()
    for name in ("few_steps", "side_by_side"):
        (tmp_path / f"fig_{name}_toy.svg").write_bytes(figure)
    shared = {"side_by_side": "comparison", "few_steps": "sweep"}
    benchmark = {"name": "toy", "task": "unconditional", "rows": json.loads(rows_json), "shared": shared}
    files = [made / "table_toy.csv", *tmp_path.glob("*.svg")]
    out = tmp_path / "report.html"
    done = latent3d("report", *files, "--results", made, "--benchmark", json.dumps(benchmark), "--out", out)
    assert done.returncode == 0, done.stderr
    assert re.findall("<figcaption>(.*)</figcaption>", out.read_text()) == [
        "Sweep: few steps",
        "Comparison: side by side",
    ]
