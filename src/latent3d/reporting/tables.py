"""Tables: one line per row and variant, mean and standard deviation over training and sampling seeds.

Made of measurements alone (measures.parquet, reconstruction.json, run.json). A failed row keeps its line.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from latent3d.base.files import atomic_path, read_json
from latent3d.evaluation.energy.energies import CALCULATIONS
from latent3d.evaluation.quantity import Quantity
from latent3d.evaluation.registry import AUTOENCODER, DISTRIBUTION, ENERGY, FAMILIES, QUALITY
from latent3d.reporting.catalogue import RECONSTRUCTION
from latent3d.reporting.material import Material
from latent3d.reporting.published import published_distances, published_values
from latent3d.reporting.rows import TableRow
from latent3d.reporting.sets import Sets, join_failures, mean_and_std, one_or_all


def write_table(path: Path | str, table: pd.DataFrame) -> None:
    """Write a table as CSV, atomically; six significant digits, missing values empty."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")


def quality_table(material: Material) -> pd.DataFrame:
    """Stability, validity, uniqueness, novelty, PoseBusters and geometry, failures by reason, published values.

    Measures that the registry does not know follow as they are, by name.
    """

    def columns(sets: Sets) -> dict[str, Any]:
        return {**sets.columns([*QUALITY, *sets.unknown()]), "failures": join_failures(sets.failures())}

    return measured_table(material, columns, published_values)


def distribution_table(material: Material) -> pd.DataFrame:
    """Distances of scalar properties to the training molecules, size-matched and not; FCD, similarity, unseen parts."""
    return measured_table(material, lambda sets: sets.columns(DISTRIBUTION), published_distances)


def energy_table(material: Material) -> pd.DataFrame:
    """GFN2-xTB energies, relaxations, MMFF94s strain, survival in dynamics; how many samples got what, failures."""

    def columns(sets: Sets) -> dict[str, Any]:
        asked = {f"n_{name}": one_or_all(sets.count(f"{name}_asked")) for name in CALCULATIONS[1:]}
        failures = {name: join_failures(sets.failures(name)).replace("; ", ", ") for name in CALCULATIONS}
        failed = "; ".join(f"{name}: {reasons}" for name, reasons in failures.items() if reasons)
        return {**asked, **sets.columns(ENERGY), "failures": failed}

    return measured_table(material, columns)


def measured_table(
    material: Material,
    columns: Callable[[Sets], dict[str, Any]],
    published: Callable[[pd.DataFrame, str], dict[str, Any]] | None = None,
) -> pd.DataFrame:
    """One line per row and variant: what it is, what `columns` makes of its measures, what `published` puts beside."""
    lines = []
    for row, variant, sets in material.all_sets():
        line = _identity(material, row, variant, sets.count("requested")) | columns(sets)
        if published and material.published is not None and variant in row.published:
            line |= published(material.published, row.published[variant])
        lines.append(line)
    return _beside(pd.DataFrame(lines))


def autoencoder_table(material: Material) -> pd.DataFrame:
    """Reconstruction of held-out molecules, mean and standard deviation over training seeds.

    Of `n_test` molecules, `n_encoded` have latents; geometries are of those, less `n_failed_geometry`.
    """
    known = {quantity.name for family in FAMILIES.values() for quantity in family}
    lines = []
    for row in material.rows:
        if not row.autoencoder:
            continue
        measured = [read_json(file) for file in material.trained(row, RECONSTRUCTION)]
        line: dict[str, Any] = {
            "row": row.name,
            "dataset": material.benchmark,
            "subset": material.subset,
            "n_test": one_or_all(m["n"] for m in measured),
            "n_encoded": one_or_all(m["n_encoded"] for m in measured),
            "n_failed_geometry": one_or_all(m["n_failed_geometry"] for m in measured),
            "training_seeds": one_or_all(row.train_seeds),
        }
        unknown = sorted({name for m in measured for name in m["values"]} - known)
        for quantity in [*AUTOENCODER, *map(Quantity, unknown)]:
            line |= mean_and_std(quantity, [m["values"].get(quantity.name) for m in measured])
        lines.append(line)
    return pd.DataFrame(lines)


def cost_table(material: Material) -> pd.DataFrame:
    """Weights, training time by stage (autoencoders included), time per sampled molecule, peak memory, device.

    `parameters` counts all numbers in the weights files: what was learned, and the constants kept with it (mean
    and scale of the latents). Stages that rows share were trained once and count for each. A row with `samples_of`
    counts its own work alone, e.g. embedding graphs: what it starts from costs what the row of that name says.
    """
    return pd.DataFrame([_cost(material, row) for row in material.rows if not row.submission])


def _cost(material: Material, row: TableRow) -> dict[str, Any]:
    trainings, samplings = material.stage_runs(row), material.sampling_runs(row, "raw")
    runs = [run for training in trainings for run in training.values()] + samplings
    line = _identity(material, row, None, [one["samples"] for run in samplings for one in run["by_seed"].values()])
    line["parameters"] = sum(run.get("parameters") or 0 for run in trainings[0].values()) or None
    line["training_steps"] = sum(run.get("steps") or 0 for run in trainings[0].values()) or None

    def seconds(name: str, values: list[float]) -> dict[str, float]:
        return mean_and_std(Quantity(name, "s", "down"), values)

    if row.stages:
        line |= seconds("training_total", [sum(run["seconds"] for run in training.values()) for training in trainings])
    for stage in row.stages:
        line |= seconds(f"training_{stage}", [training[stage]["seconds"] for training in trainings])
    for variant in dict.fromkeys(variant for of_row in material.rows for variant in of_row.variants):
        timed = material.sampling_runs(row, variant) if variant in row.variants else []
        by_seed = [one for run in timed for one in run["by_seed"].values() if one["samples"]]
        name = "sampling" if variant == "raw" else variant
        line |= seconds(f"{name}_per_molecule", [one["seconds"] / one["samples"] for one in by_seed])
    # Of all processes.
    line["peak_memory_mb"] = max((run.get("peak_memory_mb") or 0 for run in runs), default=None)
    on_gpu = [run["peak_gpu_memory_mb"] for run in runs if "peak_gpu_memory_mb" in run]
    if on_gpu:
        line["peak_gpu_memory_mb"] = max(on_gpu)
    line["device"] = "; ".join(dict.fromkeys(run.get("device") or "cpu" for run in runs))
    return line


def _identity(material: Material, row: TableRow, variant: str | None, requested: list[int]) -> dict[str, Any]:
    """What every line says about itself. `n_per_seed` is the number of requested samples of each set."""
    return {
        "row": row.name,
        **({"geometry": variant} if variant else {}),
        "dataset": material.benchmark,
        "subset": material.subset,
        "n_per_seed": one_or_all(requested),
        "training_seeds": one_or_all(row.train_seeds),
        "sampling_seeds": one_or_all(row.sample_seeds),
    }


def _beside(table: pd.DataFrame) -> pd.DataFrame:
    """Move every published value beside ours."""
    columns = [name for name in table.columns if not name.endswith("_published")]
    for name in [name for name in table.columns if name.endswith("_published")]:
        columns.insert(columns.index(name.removesuffix("_published") + "_std") + 1, name)
    return table[columns]
