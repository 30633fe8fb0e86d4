"""Released weights: in half precision, with a card, in the repository, so that anybody samples without training."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from latent3d.base.errors import UserError
from latent3d.base.files import read_json, resource, write_text
from latent3d.plan import system_defaults
from latent3d.training.weights import read_weights, write_safetensors

LARGEST = 16 * 2**20  # bytes of a file

# What the card shows of the tables.
MEASURED = {
    "table": [
        "legacy_molecule_stability_pct_up",
        "legacy_atom_stability_pct_up",
        "strict_validity_pct_up",
        "valid_unique_pct_up",
        "valid_unique_novel_pct_up",
        "known_pct",
        "bond_length_wasserstein_angstrom_down",
        "bond_angle_wasserstein_degree_down",
        "torsion_wasserstein_degree_down",
    ],
    "table_distribution": ["fcd_down"],
    "table_energy": ["relaxation_energy_median_kcal_per_mol_down"],
    "table_autoencoder": [
        "exact_match_2d_pct_up",
        "rmsd_heavy_angstrom_down",
        "rmsd_all_angstrom_down",
        "chirality_recovered_pct_up",
    ],
}


def released_weights(system: str, dataset: str) -> dict[str, Path]:
    """Weights files by stage that were released of a system trained on a dataset; none for systems without stages.

    Raises:
        UserError: there are none; says which there are.
    """
    root = resource("checkpoints")
    files = {stage: root / dataset / system / f"{stage}.safetensors" for stage in system_defaults(system).uses.generate}
    if not all(file.is_file() for file in files.values()):
        found = sorted(f"{folder.parent.name} ({folder.name})" for folder in root.glob("*/*/"))
        raise UserError(
            f"There are no released weights of {system!r} trained on {dataset!r}; there are: "
            f"{', '.join(found) or 'none'}. Train them (latent3d train), or give --weights STAGE=FILE."
        )
    return files


def release(results: Path, dataset: str, row: str, seed: int, root: Path) -> None:
    """Write root/{dataset}/{row}: weights in half precision, their run.json and log.csv, and README.md, the card.

    Raises:
        UserError: a file would be larger than 16 MB, or a stage was not trained in `results`.
    """
    folder, out = results / dataset / row / f"train{seed}", root / dataset / row
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UserError(f"{folder} holds no weights. Train the row first.")
    stages = {}
    for file in files:
        weights, metadata = read_weights(file)
        half = {key: value.half() if value.is_floating_point() else value for key, value in weights.items()}
        write_safetensors(out / file.name, half, {"latent3d": json.dumps(metadata, sort_keys=True)})
        size = (out / file.name).stat().st_size
        if size > LARGEST:
            (out / file.name).unlink()
            raise UserError(f"{file.name} would have {size / 2**20:.0f} MB; files of at most 16 MB are released.")
        for ending in (".run.json", ".log.csv"):
            shutil.copyfile(file.with_suffix(ending), out / f"{file.stem}{ending}")
        stages[file.stem] = {**metadata, **read_json(file.with_suffix(".run.json"))}
    write_text(out / "README.md", card(results, dataset, row, stages))


def card(results: Path, dataset: str, row: str, stages: dict[str, dict[str, Any]]) -> str:
    """Markdown: what the weights were trained on, how, on what, and what they measured."""
    ordered = sorted(stages.items(), key=lambda item: list(system_defaults(item[1]["system"]).stages).index(item[0]))
    lines = [f"# Weights of `{row}` trained on `{dataset}`", ""]
    lines += [f"Exponential moving averages in half precision (read as single precision). {_subset(results, dataset)}."]
    lines += [
        "",
        "| stage | parameters | steps | batch | minutes | device | configuration | data | commit |",
        "|---" * 9 + "|",
    ]
    for stage, facts in ordered:
        lines.append(
            f"| {stage} | {facts['parameters']:,} | {facts['steps']:,} | {facts['hyperparameters']['batch_size']} "
            f"| {facts['seconds'] / 60:.1f} | {facts['device']} | {facts['configuration_hash'][:12]} "
            f"| {facts['data_sha256'][:12]} | {(facts.get('commit') or '')[:12]} |"
        )
    lines += ["", "Measured (names as in the tables):", ""]
    lines += ["| quantity | value | standard deviation over seeds |", "|---" * 3 + "|"]
    for name, value, spread in _measured(results, dataset, row):
        lines.append(f"| {name} | {value:.4g} | {'' if pd.isna(spread) else f'{spread:.2g}'} |")
    return "\n".join([*lines, ""])


def _subset(results: Path, dataset: str) -> str:
    table = pd.read_csv(results / f"table_{dataset}.csv")
    return f"Molecules: {table['subset'].iloc[0]}"


def _measured(results: Path, dataset: str, row: str) -> list[tuple[str, float, float]]:
    """(column, mean, standard deviation) of the row's first line (raw geometries) of every table."""
    found = []
    for table, columns in MEASURED.items():
        line = pd.read_csv(results / f"{table}_{dataset}.csv").query("row == @row").iloc[0]
        found += [(column, line[column], line.get(f"{column}_std", float("nan"))) for column in columns]
    return found
