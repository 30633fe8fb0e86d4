"""Published numbers, to stand beside ours with their protocol."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from latent3d.base.errors import UserError
from latent3d.evaluation.registry import FAMILIES

TRUST = ["read_from_author_repository", "read_second_hand", "unverified"]
TABLE, DATASET = "qm9_unconditional", "qm9"
PROTOCOLS = {
    "edm": {
        "atom_stability": "legacy_atom_stability",
        "molecule_stability": "legacy_molecule_stability",
        "validity": "legacy_validity",
        "uniqueness": "legacy_uniqueness",
        "novelty": "legacy_novelty",
    },
    # Its validity is that of decoded SMILES, which is something else.
    "ldm3dg_notebook": {
        "atom_stability": "ldm3dg_atom_stability",
        "molecule_stability": "ldm3dg_molecule_stability",
    },
}
"""Our quantity for each published metric, by protocol, in order of preference."""

DISTANCES_TABLE = "qm9_distribution"
DISTANCES_PROTOCOLS = {"": "ldm3dg_notebook", "_matched": "ldm3dg_notebook_size_matched"}
"""Protocols of published distances between property distributions, by the ending of our names."""
# Its Hellinger distance is over other bins than ours.
DISTANCES = {
    f"{theirs}_{distance}": f"{ours}_{our_distance}"
    for theirs, ours in (("mw", "mw"), ("alogp", "logp"), ("psa", "tpsa"), ("qed", "qed"))
    for distance, our_distance in (("max_bin_difference", "max_bin"), ("wasserstein", "wasserstein"))
}


def read_published(path: Path | str) -> pd.DataFrame:
    """Read the table of published numbers.

    Raises:
        UserError: it is missing.
    """
    try:
        return pd.read_csv(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist. Restore resources/published from the repository.") from error


def published_values(numbers: pd.DataFrame, system: str) -> dict[str, object]:
    """Columns with the published values of one system: all from one protocol and source, so that they belong together.

    Only protocols that measure what our columns of that name do. Of several sources the best trusted one is taken, and
    of equals the one that gives most.

    Raises:
        UserError: the system has no value of such a protocol.
    """
    of_system = numbers[(numbers["table"] == TABLE) & (numbers["dataset"] == DATASET) & (numbers["system"] == system)]
    for protocol, names in PROTOCOLS.items():
        known = of_system[(of_system["protocol"] == protocol) & of_system["metric"].isin(names)]
        if known.empty:
            continue
        groups = known.groupby(["status", "source"], sort=True)
        (status, source), best = min(groups, key=lambda item: (TRUST.index(item[0][0]), -len(item[1]), item[0]))
        return {
            **{f"{_column(names[line.metric])}_published": line.value for line in best.itertuples(index=False)},
            "published_system": system,
            "published_protocol": protocol,
            "published_source": f"{source} ({status})",
        }
    raise UserError(
        f"The published numbers have no values of {system!r} on {DATASET} under the protocols {', '.join(PROTOCOLS)}; "
        "mend `published` of that row."
    )


def _column(name: str) -> str:
    return next(quantity.column for family in FAMILIES.values() for quantity in family if quantity.name == name)


def published_distances(numbers: pd.DataFrame, system: str) -> dict[str, object]:
    """Columns with a system's published distances between property distributions; empty where there are none."""
    of_system = numbers[
        (numbers["table"] == DISTANCES_TABLE) & (numbers["dataset"] == DATASET) & (numbers["system"] == system)
    ]
    columns: dict[str, object] = {}
    sources: dict[str, None] = {}
    for ending, protocol in DISTANCES_PROTOCOLS.items():
        lines = of_system[(of_system["protocol"] == protocol) & of_system["metric"].isin(DISTANCES)]
        for line in lines.drop_duplicates("metric").itertuples(index=False):
            columns[f"{_column(DISTANCES[line.metric] + ending)}_published"] = line.value
            sources[f"{protocol}: {line.source} ({line.status})"] = None
    if columns:
        columns |= {"published_system": system, "published_source": "; ".join(sources)}
    return columns


@dataclass(frozen=True)
class PublishedCost:
    """What a published training took, s, on which device, how far to trust it (`TRUST`), and its quality columns."""

    system: str
    seconds: float
    upper_bound: bool
    device: str
    status: str
    values: dict[str, float]


def published_costs(numbers: pd.DataFrame) -> list[PublishedCost]:
    """The systems of which a wall time of training on QM9, its device and comparable quality are known.

    As printed: most papers do not say whether an autoencoder's training is included.
    """
    names = ("training_wallclock", "training_wallclock_upper_bound")
    times = numbers[(numbers["table"] == "cost") & (numbers["dataset"] == DATASET) & numbers["metric"].isin(names)]
    found = []
    for line in times[times["unit"] == "hours"].itertuples(index=False):
        try:
            values = published_values(numbers, line.system)
        except UserError:
            continue
        quality = {
            name.removesuffix("_published"): value for name, value in values.items() if name.endswith("_published")
        }
        device = line.protocol.replace("_", " ")
        found.append(
            PublishedCost(line.system, 3600 * line.value, line.metric == names[1], device, line.status, quality)
        )
    return found
