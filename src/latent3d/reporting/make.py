"""A table or figure by its entry in the catalogue."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from latent3d.base.functions import find_function
from latent3d.reporting.catalogue import Entry
from latent3d.reporting.material import Material
from latent3d.reporting.tables import write_table


def make_table(entry: Entry, material: Material, out: Path) -> None:
    """Write a table (.csv).

    Raises:
        UserError: a measurement is missing or unreadable, or the entry's maker is.
    """
    write_table(out, maker_of(entry)(material))


def make_figure(entry: Entry, material: Material, out: Path) -> None:
    """Draw a figure to `out` (.svg), and a PNG beside it.

    Raises:
        UserError: a measurement is missing or unreadable, or the entry's maker is.
    """
    from latent3d.reporting.style import save  # matplotlib, which tables do not need

    save(maker_of(entry)(material), out)


def maker_of(entry: Entry) -> Callable[[Material], Any]:
    """The function that an entry names."""
    return find_function(entry.maker, f"maker of {entry.name!r}")
