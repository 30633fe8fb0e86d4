"""Published numbers, to stand beside ours with their protocol."""

from pathlib import Path

import pandas as pd

from latent3d.errors import UserError
from latent3d.metrics.registry import Quantity

TRUST = ["read_from_author_repository", "read_second_hand", "unverified"]
TABLE, DATASET = "qm9_unconditional", "qm9"
DISTANCES_TABLE = "qm9_distribution"
DISTANCES_PROTOCOLS = {False: "ldm3dg_notebook", True: "ldm3dg_notebook_size_matched"}
"""Protocols of published distances between property distributions, by whether samples are size-matched."""


def read_published(path: Path | str) -> pd.DataFrame:
    """Read the table of published numbers.

    Raises:
        UserError: it is missing.
    """
    try:
        return pd.read_csv(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist. Restore resources/published from the repository.") from error


def published_values(numbers: pd.DataFrame, system: str, quantities: list[Quantity]) -> dict[str, object]:
    """Columns with the published values of one system: all from one protocol and source, so that they belong together.

    Of several sources the best trusted one is taken, and of equals the one that gives most of our quantities.
    """
    wanted = {quantity.published: quantity for quantity in quantities if quantity.published}
    of_system = numbers[
        (numbers["table"] == TABLE)
        & (numbers["dataset"] == DATASET)
        & (numbers["system"] == system)
        & numbers["metric"].isin(wanted)
    ]
    if of_system.empty:
        raise UserError(
            f"The published numbers have no system {system!r} on {DATASET}; mend `published` in defaults.yaml."
        )
    groups = of_system.groupby(["status", "protocol", "source"], sort=True)
    (status, protocol, source), best = min(groups, key=lambda item: (TRUST.index(item[0][0]), -len(item[1]), item[0]))
    columns: dict[str, object] = {
        f"{wanted[line.metric].column}_published": line.value for line in best.itertuples(index=False)
    }
    return {
        **columns,
        "published_system": system,
        "published_protocol": protocol,
        "published_source": f"{source} ({status})",
    }


def published_distances(numbers: pd.DataFrame, system: str, quantities: list[Quantity]) -> dict[str, object]:
    """Columns with a system's published distances between property distributions; empty where there are none."""
    columns: dict[str, object] = {}
    sources: dict[str, None] = {}
    for matched, protocol in DISTANCES_PROTOCOLS.items():
        wanted = {q.published: q for q in quantities if q.published and q.name.endswith("_matched") == matched}
        lines = numbers[
            (numbers["table"] == DISTANCES_TABLE)
            & (numbers["dataset"] == DATASET)
            & (numbers["system"] == system)
            & (numbers["protocol"] == protocol)
            & numbers["metric"].isin(wanted)
        ]
        for line in lines.itertuples(index=False):
            columns[f"{wanted[line.metric].column}_published"] = line.value
            sources[f"{protocol}: {line.source} ({line.status})"] = None
    if columns:
        columns |= {"published_system": system, "published_source": "; ".join(sources)}
    return columns
