"""Tables: one line per row and geometry, mean and standard deviation over training and sampling seeds.

Made of measurements alone (metrics.json, reconstruction.json, run.json). A failed row keeps its line.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from latent3d.base.files import atomic_path, read_json
from latent3d.evaluation.energy.energies import CALCULATIONS
from latent3d.evaluation.quantity import Quantity
from latent3d.evaluation.registry import AUTOENCODER, DISTRIBUTION, ENERGY, FAMILIES, QUALITY
from latent3d.reporting.material import describe_subset, sample_folders, stage_file, training_folders
from latent3d.reporting.published import published_distances, published_values
from latent3d.reporting.rows import TableRow


def make_table(
    name: str, dataset: str, rows: list[TableRow], results: Path, published: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The table `name` (one of config.TABLES) of a dataset.

    Raises:
        UserError: a measurement is missing or unreadable.
    """
    if name in ("quality", "distribution"):
        maker = quality_table if name == "quality" else distribution_table
        return maker(dataset, rows, results, published)
    makers = {
        "energy": energy_table,
        "autoencoder": autoencoder_table,
        "cost": cost_table,
    }
    return makers[name](dataset, rows, results)


def write_table(path: Path | str, table: pd.DataFrame) -> None:
    """Write a table as CSV, atomically; six significant digits, missing values empty."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")


def mean_and_std(quantity: Quantity, values: Iterable[float | None]) -> dict[str, float]:
    """Mean over the seeds and sample standard deviation (NaN for one seed) as `_std`; NaN unless all have the value."""
    found = np.array([np.nan if value is None else value for value in values], float) * quantity.scale
    complete = len(found) > 0 and bool(np.isfinite(found).all())
    columns = {quantity.column: float(found.mean()) if complete else np.nan}
    if quantity.spread:
        columns[f"{quantity.column}_std"] = float(found.std(ddof=1)) if complete and len(found) > 1 else np.nan
    return columns


def quality_table(
    dataset: str, rows: list[TableRow], results: Path, published: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Stability, validity, uniqueness, novelty, PoseBusters and geometry, failures by reason, published values.

    Metrics in metrics.json that the registry does not know follow as they are, by name.
    """
    lines = []
    for row, geometry, measured in _measurements(dataset, rows, results):
        line = _identity(dataset, results, row, geometry, [m["n_requested"] for m in measured])
        line |= _columns([*QUALITY, *_unknown(measured)], measured)
        line["failures"] = join_failures(Counter(), *(m["failures"] for m in measured))
        if published is not None and geometry in row.published:
            line |= published_values(published, row.published[geometry])
        lines.append(line)
    return _beside(pd.DataFrame(lines))


def distribution_table(
    dataset: str, rows: list[TableRow], results: Path, published: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Distances of scalar properties to the training molecules, size-matched and not; FCD, similarity, unseen parts."""
    lines = []
    for row, geometry, measured in _measurements(dataset, rows, results):
        line = _identity(dataset, results, row, geometry, [m["n_requested"] for m in measured])
        line |= _columns(DISTRIBUTION, measured)
        if published is not None and geometry in row.published:
            line |= published_distances(published, row.published[geometry])
        lines.append(line)
    return _beside(pd.DataFrame(lines))


def _measurements(
    dataset: str, rows: list[TableRow], results: Path
) -> Iterator[tuple[TableRow, str, list[dict[str, Any]]]]:
    """Row, geometry, and metrics.json of all its sets of samples."""
    for row in rows:
        for geometry in row.variants:
            yield (
                row,
                geometry,
                [read_json(f / "metrics.json") for f in sample_folders(results, dataset, row, geometry)],
            )


def _columns(quantities: list[Quantity], measured: list[dict[str, Any]]) -> dict[str, float]:
    columns: dict[str, float] = {}
    for quantity in quantities:
        columns |= mean_and_std(quantity, [m["values"].get(quantity.name) for m in measured])
    return columns


def _unknown(measured: list[dict[str, Any]]) -> list[Quantity]:
    """Measured quantities that the registry does not know: a new metric needs no change here."""
    known = {quantity.name for family in FAMILIES.values() for quantity in family}
    return [Quantity(name) for name in sorted({name for m in measured for name in m["values"]} - known)]


def energy_table(dataset: str, rows: list[TableRow], results: Path) -> pd.DataFrame:
    """GFN2-xTB energies, relaxations, MMFF94s strain, survival in dynamics; how many samples got what, failures."""
    lines = []
    for row, geometry, measured in _measurements(dataset, rows, results):
        line = _identity(dataset, results, row, geometry, [m["n_requested"] for m in measured])
        for name in CALCULATIONS[1:]:
            line[f"n_{name}"] = _one_or_all(m["counts"].get(f"{name}_asked", 0) for m in measured)
        line |= _columns(ENERGY, measured)
        line["failures"] = "; ".join(
            f"{name}: {reasons.replace('; ', ', ')}"
            for name in CALCULATIONS
            if (reasons := join_failures(Counter(), *(m["energy_failures"].get(name, {}) for m in measured)))
        )
        lines.append(line)
    return pd.DataFrame(lines)


def autoencoder_table(dataset: str, rows: list[TableRow], results: Path) -> pd.DataFrame:
    """Reconstruction of held-out molecules, mean and standard deviation over training seeds.

    Of `n_test` molecules, `n_encoded` have codes; geometries are of those, less `n_failed_geometry`.
    """
    lines = []
    for row in rows:
        if not row.autoencoder:
            continue
        measured = [read_json(f / "reconstruction.json") for _, f in training_folders(results, dataset, row)]
        line = {
            "row": row.name,
            "dataset": dataset,
            "subset": describe_subset(results, dataset),
            "n_test": _one_or_all(m["n"] for m in measured),
            "n_encoded": _one_or_all(m["n_encoded"] for m in measured),
            "n_failed_geometry": _one_or_all(m["n_failed_geometry"] for m in measured),
            "training_seeds": _one_or_all(row.train_seeds),
        }
        line |= _columns([*AUTOENCODER, *_unknown(measured)], measured)
        lines.append(line)
    return pd.DataFrame(lines)


def cost_table(dataset: str, rows: list[TableRow], results: Path) -> pd.DataFrame:
    """Weights, training time by stage (autoencoders included), time per sampled molecule, peak memory, device.

    `parameters` counts all numbers in the weights files: what was learned, and the constants kept with it (mean
    and scale of the codes). Stages that rows share were trained once and count for each. A row with `samples_of`
    counts its own work alone, e.g. embedding graphs: what it starts from costs what the row of that name says.
    """
    lines = []
    for row in rows:
        if row.submission:
            continue
        stages = [
            {stage: read_json(stage_file(results, dataset, row, stage, seed, ".run.json")) for stage in row.stages}
            for seed in row.train_seeds
        ]
        samplings = _sampling_runs(results, dataset, row, "raw")
        relaxations = _sampling_runs(results, dataset, row, "mmff") if "mmff" in row.variants else []
        runs = [run for training in stages for run in training.values()] + [run for run, _ in samplings]
        line = _identity(dataset, results, row, None, [n for _, n in samplings])
        line["parameters"] = sum(run.get("parameters") or 0 for run in stages[0].values()) or None
        line["training_steps"] = sum(run.get("steps") or 0 for run in stages[0].values()) or None
        if row.stages:
            line |= mean_and_std(
                Quantity("training_total", "s", "down"), [sum(r["seconds"] for r in t.values()) for t in stages]
            )
        for stage in row.stages:
            line |= mean_and_std(Quantity(f"training_{stage}", "s", "down"), [t[stage]["seconds"] for t in stages])
        for name, timed in (("sampling", samplings), ("mmff", relaxations)):
            line |= mean_and_std(
                Quantity(f"{name}_per_molecule", "s", "down"), [run["seconds"] / n for run, n in timed if n]
            )
        line["peak_memory_mb"] = max((run.get("peak_memory_mb") or 0 for run in runs), default=None)
        on_gpu = [run["peak_gpu_memory_mb"] for run in runs if "peak_gpu_memory_mb" in run]
        if on_gpu:
            line["peak_gpu_memory_mb"] = max(on_gpu)
        line["device"] = "; ".join(dict.fromkeys(run.get("device") or "cpu" for run in runs))
        lines.append(line)
    return pd.DataFrame(lines)


def join_failures(total: Counter[str], *counts: Mapping[str, int]) -> str:
    """`reason count` of all sets of samples together, most frequent first."""
    for count in counts:
        total.update({reason: number for reason, number in count.items() if reason != "ok" and number})
    return "; ".join(f"{reason} {number}" for reason, number in sorted(total.items(), key=lambda x: (-x[1], x[0])))


def _identity(
    dataset: str, results: Path, row: TableRow, geometry: str | None, requested: list[int]
) -> dict[str, object]:
    """What every line says about itself. `n_per_seed` is the number of requested samples of each set."""
    return {
        "row": row.name,
        **({"geometry": geometry} if geometry else {}),
        "dataset": dataset,
        "subset": describe_subset(results, dataset),
        "n_per_seed": _one_or_all(requested),
        "training_seeds": _one_or_all(row.train_seeds),
        "sampling_seeds": _one_or_all(row.sample_seeds),
    }


def _one_or_all(values: Iterable[object]) -> str:
    return " ".join(str(value) for value in dict.fromkeys(values))


def _beside(table: pd.DataFrame) -> pd.DataFrame:
    """Move every published value beside ours."""
    columns = [name for name in table.columns if not name.endswith("_published")]
    for name in [name for name in table.columns if name.endswith("_published")]:
        columns.insert(columns.index(name.removesuffix("_published") + "_std") + 1, name)
    return table[columns]


def _sampling_runs(results: Path, dataset: str, row: TableRow, geometry: str) -> list[tuple[dict, int]]:
    """run.json and number of requested samples of every set of samples."""
    return [
        (read_json(folder / "run.json"), pq.read_metadata(folder / "samples.parquet").num_rows)
        for folder in sample_folders(results, dataset, row, geometry)
    ]
