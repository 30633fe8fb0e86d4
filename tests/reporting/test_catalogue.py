"""Every table and figure is one entry: what it is made of, and what makes it."""

from importlib import import_module
from pathlib import Path

import pytest

from latent3d.base.errors import UserError
from latent3d.base.layout import Layout
from latent3d.reporting.catalogue import FIGURES, SHARED_FIGURES, TABLES, Entry, entries, files_behind

OURS = "results/toy/ours"


@pytest.mark.parametrize("entry", [*TABLES.values(), *FIGURES.values(), *SHARED_FIGURES.values()], ids=lambda e: e.name)
def test_every_maker_is_a_function(entry):
    module, name = entry.maker.split(":")
    assert callable(getattr(import_module(module), name))


def test_an_entry_knows_its_files(rows):
    found = files_behind(TABLES["quality"], "toy", rows, Layout())
    assert len(found) == 2 + 1 + 2 * 2  # variants, of `ours` for two training seeds
    assert f"{OURS}/train1/mmff/measures.parquet" in found
    assert files_behind(FIGURES["training"], "toy", rows, Layout()) == [
        f"{OURS}/train{seed}/{stage}.log.csv" for seed in (0, 1) for stage in ("topology", "diffusion")
    ]
    assert all(Path(file).parent.name == "raw" for file in files_behind(FIGURES["properties"], "toy", rows, Layout()))


def test_trained_files_are_those_of_the_data_set_and_of_the_row_that_trains(rows):
    shared = rows[2].model_copy(update={"name": "theirs", "dataset": "data", "stages": {"topology": "ours"}})
    assert files_behind(FIGURES["training"], "task", [shared], Layout()) == [
        f"results/data/ours/train{seed}/topology.log.csv" for seed in (0, 1)
    ]
    assert files_behind(TABLES["autoencoder"], "task", [shared], Layout())[0].startswith("results/data/theirs/train0/")
    assert files_behind(TABLES["quality"], "task", [shared], Layout())[0].startswith("results/task/theirs/train0/")


def test_what_has_nothing_to_show_has_no_files(rows):
    controls = rows[:2]
    made = {name for name, entry in FIGURES.items() if files_behind(entry, "toy", controls, Layout())}
    assert made == {"quality", "energy", "relaxation", "properties", "samples"}
    assert not files_behind(TABLES["autoencoder"], "toy", controls, Layout())
    # Controls have a cost though they train nothing; that of a submission is not known.
    submitted = rows[1].model_copy(update={"submission": True})
    assert [Path(file).name for file in files_behind(TABLES["cost"], "toy", [rows[1], submitted], Layout())] == [
        "run.json"
    ]


def test_a_task_lists_entries_by_name_or_has_its_own():
    own = Entry(name="size", title="Size", caption="Sizes", maker="a:b", needs=["measures.parquet"])
    assert list(entries(TABLES, ["quality", own], "toy")) == ["quality", "size"]
    with pytest.raises(UserError, match=r"tasks/toy/task\.yaml: tables: there is no 'qualty'. Did you mean 'quality'"):
        entries(TABLES, ["qualty"], "tasks/toy/task.yaml: tables")
