"""What figures show: values read back from the drawing."""

from dataclasses import replace

import numpy as np
import pytest

from latent3d.base.errors import UserError
from latent3d.base.files import write_json
from latent3d.base.layout import Layout
from latent3d.reporting.cost_figure import cost_quality_figure, training_cost
from latent3d.reporting.distribution_figures import properties_figure, reconstruction_figure
from latent3d.reporting.drawings import _view, interpolation_figure
from latent3d.reporting.published import published_costs, read_published

PUBLISHED = "resources/published/published_results.csv"


def texts(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts if text.get_text()]


def test_cost_is_all_stages_of_the_mean_training_with_its_devices(material, tmp_path):
    ours = material.rows[2]
    assert training_cost(material, ours) == (140.0, "cpu")  # (60 + 60 + 80 + 80) / 2
    for seed in ours.train_seeds:
        for stage, device in (("topology", "cpu"), ("diffusion", "a GPU")):
            run = {"seconds": 5.0, "device": device}
            write_json(tmp_path / "toy" / "ours" / f"train{seed}" / f"{stage}.run.json", run)
    assert training_cost(replace(material, layout=Layout(tmp_path)), ours) == (10.0, "a GPU\nand cpu")


def test_quality_over_cost_has_a_mark_per_trained_row_and_what_was_published_beside(material, rows):
    figure = cost_quality_figure(replace(material, published=read_published(PUBLISHED)))
    stability, novel = figure.axes
    (mark,) = stability.containers
    np.testing.assert_allclose(mark.lines[0].get_xydata(), [[140, 83]])
    # EDM's published time and stability, with the device; that has no V&U&N of ours.
    (edm,) = [line for line in stability.lines if line.get_marker() == "D"]
    np.testing.assert_allclose(edm.get_xydata(), [[168 * 3600, 82.0]])
    assert any("1x gtx1080ti" in text and "unverified" in text for text in texts(figure))
    assert not [line for line in novel.lines if line.get_marker() == "D"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["1: ours", "cpu", "published"]


def test_published_costs_are_not_shown_beside_another_dataset(material, rows):
    elsewhere = [row.model_copy(update={"published": {}}) for row in material.rows]
    figure = cost_quality_figure(replace(material, rows=elsewhere, published=read_published(PUBLISHED)))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["1: ours", "cpu"]


def test_published_costs_have_time_device_and_comparable_quality():
    found = {cost.system: cost for cost in published_costs(read_published(PUBLISHED))}
    assert (found["edm"].seconds, found["edm"].device, found["edm"].upper_bound) == (168 * 3600, "1x gtx1080ti", False)
    assert all("legacy_molecule_stability_pct_up" in cost.values for cost in found.values())


def test_properties_are_shares_of_all_requested_samples(material, rows):
    figure = properties_figure(material)
    assert {"8 of 8", "0 of 8", "7 of 8"} == set(texts(figure))
    weights = {row.name: figure.axes[5 * line].patches[0].get_data().values for line, row in enumerate(rows)}
    assert weights["data_test"].sum() == pytest.approx(1)
    assert weights["ours"].sum() == pytest.approx(7 / 8)
    assert weights["cloud"].sum() == 0


def test_properties_are_drawn_where_no_sample_is_valid(material, rows):
    assert texts(properties_figure(replace(material, rows=rows[1:2]))) == ["0 of 8"]


def test_lines_of_reconstruction_end_where_molecules_failed(material, rows):
    figure = reconstruction_figure(material)
    heavy = figure.axes[0]
    lines = [line for line in heavy.lines if len(line.get_xdata()) == 101]
    # Two training seeds, each with its own codes and those of others; of the second one of two molecules failed.
    assert [line.get_ydata()[-1] for line in lines] == [100, 100, 50, 50]
    assert [line.get_xdata()[50] for line in lines] == pytest.approx([0.255, 1.02] * 2)
    assert lines[0].get_label() == "ours\n90.0 % of graphs exact"


def test_a_reconstruction_of_an_older_version_is_named(material, tmp_path):
    write_json(tmp_path / "toy" / "ours" / "train0" / "reconstruction.json", {"values": {}})
    with pytest.raises(UserError, match=r"train0/reconstruction.json is of an older version"):
        reconstruction_figure(replace(material, layout=Layout(tmp_path)))


def test_a_strip_says_what_each_frame_is(material, rows):
    figure = interpolation_figure(material)
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == ["A, held out", "0 % = A", "100 %", "B, held out"]
    assert "decode\nfailed" in texts(figure)


def test_a_frame_is_turned_as_the_one_before_and_never_mirrored(from_smiles, rotation):
    chiral = from_smiles("N[C@@H](C)C(=O)O")
    first = _view(chiral)
    # In another place, another order of the atoms, and seen from behind.
    order = np.random.default_rng(0).permutation(len(chiral))
    place = {old: new for new, old in enumerate(order)}
    moved = replace(
        chiral,
        atomic_numbers=chiral.atomic_numbers[order],
        positions=(chiral.positions @ rotation + 5)[order].astype(np.float32),
        bonds=np.vectorize(place.get)(chiral.bonds).astype(np.int16),
        formal_charges=chiral.formal_charges[order],
    )
    np.testing.assert_allclose(_view(moved, (chiral, first)), first[order], atol=1e-3)
    mirrored = replace(chiral, positions=chiral.positions * np.float32([-1, 1, 1]))
    assert np.abs(_view(mirrored, (chiral, first)) - first).max() > 0.1


@pytest.mark.parametrize("maker", [cost_quality_figure, reconstruction_figure, interpolation_figure])
def test_a_figure_without_anything_to_show_is_refused_in_a_sentence(material, rows, maker):
    with pytest.raises(UserError, match=r"(No row of toy|there is no|nothing)"):
        maker(replace(material, rows=rows[:2]))
