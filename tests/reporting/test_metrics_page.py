"""The docs page and the printed table are made of the registry."""

from pathlib import Path

from latent3d.evaluation.quantity import header
from latent3d.evaluation.registry import FAMILIES, QUICK_TESTS
from latent3d.reporting.metrics_page import metrics_page
from latent3d.reporting.scorecard import print_scorecard

ROOT = Path(__file__).parents[2]


def test_the_page_in_docs_is_the_registrys():
    assert (ROOT / "docs" / "metrics.md").read_text() == metrics_page(), "renew: latent3d metrics --out docs/metrics.md"


def test_every_quantity_is_defined_once_and_has_a_readable_header():
    quantities = [quantity for family in FAMILIES.values() for quantity in family]
    names = [quantity.name for quantity in quantities]
    assert len(names) == len(set(names)) == len({quantity.column for quantity in quantities})
    assert len(QUICK_TESTS) == 11
    for quantity in quantities:
        assert quantity.meaning.endswith(".") and len(quantity.meaning) > 15, quantity.name
        assert (quantity.unit == "pct") == (quantity.scale == 100)
        # Unit and direction leave the name and come back in brackets.
        assert header(quantity.column).startswith(quantity.name.replace("_", " "))
        assert ("(" in header(quantity.column)) == bool(quantity.unit or quantity.direction)


def test_the_printed_table_says_what_was_measured(capsys):
    metrics = {
        "n_requested": 40,
        "values": {"strict_validity": 0.75, "fcd": None, "bond_length_wasserstein": 0.0123456},
        "intervals": {"strict_validity": [0.6, 0.86]},
        "failures": {"radical": 10},
        "counts": {"bonds_perceived": 7},
        "reference": {"description": "9 train", "floor": {"strict_validity": 1.0}, "floor_molecules": 400},
    }
    print_scorecard(Path("mine.sdf"), Path("mine_score"), metrics)
    text = capsys.readouterr().out
    (line,) = [line for line in text.splitlines() if "strict validity" in line]
    assert line.split() == ["strict", "validity", "%,", "↑", "75.00", "60.00", "to", "86.00", "100.00"]
    assert "10 radical" in text and "9 train" in text and "0.01235" in text and "mine_score/ledger.csv" in text
    assert "bonds of 7 samples" in text and "a hint only" in text
    assert "fcd" not in text and "Legacy" not in text
    print_scorecard(Path("mine.sdf"), Path("mine_score"), {**metrics, "reference": None})
    assert "real data" not in capsys.readouterr().out
