"""Tables as the report shows them: groups of columns, readable numbers, what every column means."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from latent3d.evaluation.quantity import UNIT_LABELS, header
from latent3d.evaluation.registry import FAMILIES

# What the report says elsewhere, or beside the row's name.
HIDDEN = (
    *("row", "geometry", "dataset", "subset", "failures"),
    *("published_system", "published_protocol", "published_source"),
)
SHOWN_AT_FIRST = 14
"""Columns that are shown before a reader chooses: whole groups from the left, at least one."""

SUBGROUPS = {
    "Distributions of scalar properties": {
        "mw": "Molecular weight",
        "logp": "logP",
        "tpsa": "TPSA",
        "qed": "QED",
        "sa": "SA",
        "size": "Size matching",
    },
    "Energies": {
        "gfn2": "GFN2-xTB single points",
        "relaxation": "Relaxation",
        "strain": "Strain and dynamics",
        "md": "Strain and dynamics",
    },
}
"""Families too large for one group, by the first word of their quantities' names."""

SAID_BY_GROUP = ("legacy", "mw", "logp", "tpsa", "qed", "sa", "gfn2", "relaxation")
"""First words of names that headers leave out, since the heading of their group says them."""

COUNTS, STAGES = "Seeds and counts", "Training by stage"
MEANINGS = {
    "n_per_seed": "Requested samples of each set (one per training and sampling seed): the denominator of rates.",
    "n_relaxation": "Samples of each set that were to relax.",
    "n_strain": "Samples of each set that were to get a strain energy.",
    "n_md_mmff": "Samples of each set that were to get MMFF94s dynamics.",
    "n_md_gfn2": "Samples of each set that were to get GFN2-xTB dynamics.",
    "n_test": "Held-out molecules that were reconstructed.",
    "training_seeds": "Seeds of training.",
    "sampling_seeds": "Seeds of sampling.",
    "parameters": "Numbers in the weights files: what was learned, and constants kept with it.",
    "training_steps": "Optimiser steps of one training seed, all stages.",
    "training_total_s_down": "Training time of one seed, autoencoders included, summed over the stages.",
    "sampling_per_molecule_s_down": "Wall time of sampling per requested sample, without MMFF94.",
    "mmff_per_molecule_s_down": "Wall time of MMFF94 per requested sample.",
    "peak_memory_mb": "Largest resident memory of any of the row's processes.",
    "peak_gpu_memory_mb": "Largest memory on a GPU.",
    "device": "What training and sampling ran on.",
}
_BETTER = {"up": "higher is better ↑", "down": "lower is better ↓", "": "to be compared with real molecules"}
_QUANTITIES = {
    quantity.column: (family, quantity) for family, quantities in FAMILIES.items() for quantity in quantities
}


@dataclass(frozen=True)
class Column:
    """A column of a table: its name in the CSV, its group, its header, its tooltip."""

    name: str
    group: str
    label: str
    tip: str

    @property
    def published(self) -> bool:
        """Whether the values are another publication's."""
        return self.name.endswith("_published")


def layout(table: pd.DataFrame) -> dict:
    """A table for the template: groups of columns (the seeds last), columns, and lines of cells.

    A mean and its standard deviation share a cell, which sorts by the mean.
    """
    shown = [_column(name) for name in table.columns if not _left_out(name)]
    names = list(dict.fromkeys(column.group for column in shown))
    names.sort(key=lambda group: group == COUNTS)
    columns = sorted(shown, key=lambda column: names.index(column.group))
    groups, total = [], 0
    for number, name in enumerate(names):
        size = sum(column.group == name for column in columns)
        total += size
        at_first = number == 0 or (total <= SHOWN_AT_FIRST and name != COUNTS)
        groups.append({"number": number, "name": name, "size": size, "shown": at_first})
    lines = [
        {
            "row": line["row"],
            "geometry": line.get("geometry", ""),
            "cells": [
                {**_cell(line, column.name), "group": groups[names.index(column.group)], "published": column.published}
                for column in columns
            ],
        }
        for line in table.to_dict("records")
    ]
    heads = [{"column": column, "group": groups[names.index(column.group)]} for column in columns]
    return {"groups": groups, "heads": heads, "lines": lines, "published": any(c.published for c in columns)}


def failure_matrix(lines: Iterable[tuple[str, str, int, dict[str, int]]]) -> dict:
    """Lines of (row, geometry, number asked for, failures by reason) as a matrix; the most frequent reason first.

    Lines without a failure stay, since "none" is a result.
    """
    lines = list(lines)
    totals: dict[str, int] = {}
    for *_, failures in lines:
        for reason, count in failures.items():
            totals[reason] = totals.get(reason, 0) + count
    reasons = sorted(totals, key=lambda reason: (-totals[reason], reason))
    return {
        "reasons": reasons,
        "lines": [
            {
                "row": row,
                "geometry": geometry,
                "asked": asked,
                "failed": sum(failures.values()),
                "cells": [
                    {"count": failures.get(reason, 0), "share": 100 * failures.get(reason, 0) / max(asked, 1)}
                    for reason in reasons
                ],
            }
            for row, geometry, asked, failures in lines
        ],
    }


def _left_out(name: str) -> bool:
    return name in HIDDEN or name.endswith("_std")


def _column(name: str) -> Column:
    """Group, header and tooltip of a column, from the registry where it knows the quantity."""
    ours = name.removesuffix("_published")
    label = header(name)
    if ours not in _QUANTITIES:
        group = _own_group(name)
        label = label.removeprefix("training ") if group == STAGES else label
        return Column(name, group, label, _with_name(MEANINGS.get(name, _own_meaning(name)), name))
    family, quantity = _QUANTITIES[ours]
    group, first = family, quantity.name.split("_")[0]
    if family in SUBGROUPS:
        group = SUBGROUPS[family][first]
    if first in SAID_BY_GROUP:
        label = label.removeprefix(f"{first} ")
    unit = UNIT_LABELS.get(quantity.unit, "")
    better = _BETTER[quantity.direction]
    details = [quantity.meaning, f"Unit: {unit or 'none'}; {better}."]
    if ours != name:
        details.insert(0, "Published by others, not measured here. Their system and source: on each value.")
    return Column(name, group, label, _with_name(" ".join(details), name))


def _own_group(name: str) -> str:
    if name.startswith("n_") or name.endswith("_seeds"):
        return COUNTS
    if name.startswith("training_") and name not in MEANINGS:
        return STAGES
    return "Cost" if name in MEANINGS else "Other metrics"


def _own_meaning(name: str) -> str:
    if name.startswith("training_"):
        return "Training time of this stage, one seed."
    return "A metric that the registry does not describe."


def _with_name(meaning: str, name: str) -> str:
    return f"{meaning}\nColumn of the CSV: {name}"


def _cell(line: dict, name: str) -> dict:
    """Text, standard deviation, sort key, tooltip; for rates the share of the cell that a bar fills."""
    value = line[name]
    cell = {"text": "", "std": "", "sort": "", "tip": "", "bar": None}
    if pd.isna(value):
        return cell
    if isinstance(value, str):
        return {**cell, "text": value, "sort": value}
    text, std = _number(name, float(value), line.get(f"{name}_std", float("nan")))
    cell |= {"text": text, "std": std, "sort": float(value)}
    if name.endswith("_published"):
        details = [line.get("published_protocol"), line["published_source"]]
        known = ", ".join(detail for detail in details if isinstance(detail, str))
        cell["tip"] = f"{line['published_system']}: {known}"
    elif name.endswith(("_pct", "_pct_up", "_pct_down")):
        cell["bar"] = round(min(max(float(value), 0.0), 100.0), 1)
    return cell


def _number(name: str, value: float, std: float) -> tuple[str, str]:
    """Value and deviation with equal decimals: one for percentages, else so that three digits of the value show."""
    if pd.isna(std) and "_pct" not in name and value.is_integer():
        return f"{int(value):,}", ""
    if 0 < abs(value) < 1e-4:
        return f"{value:.1e}", ""
    decimals = 1 if "_pct" in name or value == 0 else min(6, max(0, 2 - int(np.floor(np.log10(abs(value))))))
    return f"{value:,.{decimals}f}", "" if pd.isna(std) else f"± {std:,.{decimals}f}"
