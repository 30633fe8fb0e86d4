"""The table that `latent3d score` prints: values with their intervals, beside those of real molecules."""

import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from latent3d.evaluation.quantity import DIRECTION_LABELS, UNIT_LABELS, Quantity
from latent3d.evaluation.registry import FAMILIES


def print_scorecard(file: Path, folder: Path, metrics: dict[str, Any]) -> None:
    """Print the metrics of one file to stdout; what was not measured is left out."""
    # A file or pipe has no width to fit.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    reference = metrics["reference"]
    counts = ", ".join(f"{count} {reason}" for reason, count in metrics["failures"].items())
    console.print(
        f"\n[bold]{escape(str(file))}[/bold]: {metrics['n_requested']:,} samples; not valid: {counts or 'none'}"
    )
    floor = (reference or {}).get("floor", {})
    if reference:
        console.print(f"compared with: {reference['description']}")
    perceived = metrics["counts"].get("bonds_perceived", 0)
    if perceived:
        console.print(
            f"bonds of {perceived:,} samples perceived from coordinates, which fails for 5.6 % of real QM9 too"
        )
    if floor:
        real = reference["floor_molecules"]
        console.print(f"real data: {real:,} test molecules, with bonds")
        if not 0.9 < metrics["n_requested"] / max(real, 1) < 1.1:
            console.print("distances depend on the number of samples, which differs: take theirs as a hint only")
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    headings = ["", "", "value", "95 % interval", *(["real data"] if floor else [])]
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < 2 else "right", no_wrap=True)
    for family, quantities in FAMILIES.items():
        lines = [_line(quantity, metrics, floor) for quantity in quantities]
        lines = [line for line in lines if line is not None]
        if lines:
            table.add_row(f"[bold]{family}[/bold]")
        for line in lines:
            table.add_row(*(line if floor else line[:-1]))
    console.print(table)
    console.print(
        f"Every sample and why it failed: {folder / 'ledger.csv'}; all values: {folder / 'metrics.json'}", markup=False
    )


def _line(quantity: Quantity, metrics: dict[str, Any], floor: dict[str, Any]) -> tuple[str, ...] | None:
    value = metrics["values"].get(quantity.name)
    if value is None:
        return None
    unit = ", ".join(
        label for label in (UNIT_LABELS.get(quantity.unit), DIRECTION_LABELS.get(quantity.direction)) if label
    )
    interval = metrics["intervals"].get(quantity.name)
    limits = "" if interval is None else " to ".join(_limit(quantity, limit) for limit in interval)
    real = floor.get(quantity.name)
    name = quantity.name.removeprefix("posebusters_").replace("_", " ")
    return f"  {name}", unit, _number(quantity, value), limits, "" if real is None else _number(quantity, real)


def _limit(quantity: Quantity, limit: float | None) -> str:
    return "∞" if limit is None else _number(quantity, limit)


def _number(quantity: Quantity, value: float, digits: int = 4) -> str:
    value *= quantity.scale
    return f"{value:.2f}" if quantity.unit == "pct" else f"{value:.{digits}g}"
