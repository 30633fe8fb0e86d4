"""Write docs/ablations.md from the tables of config/ablations.yaml: python docs/make_ablations.py [results ...]

Every folder of results becomes a table: rows of one training stand together.
"""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from latent3d.base.files import write_text
from latent3d.plan import Row, hyperparameters, system_defaults

ROOT = Path(__file__).parents[1]
DATASET = "mini_ablations"
# Heading of a column: table, column of it, digits.
COLUMNS = {
    "2D exact %": ("table_autoencoder", "exact_match_2d_pct_up", 1),
    "RMSD heavy Å": ("table_autoencoder", "rmsd_heavy_angstrom_down", 3),
    "mol. stability %": ("table", "legacy_molecule_stability_pct_up", 1),
    "V&U %": ("table", "valid_unique_pct_up", 1),
    "V&U&N %": ("table", "valid_unique_novel_pct_up", 1),
    "FCD": ("table_distribution", "fcd_down", 2),
    "torsions °": ("table", "torsion_wasserstein_degree_down", 2),
    "relaxation kcal/mol": ("table_energy", "relaxation_energy_median_kcal_per_mol_down", 1),
}
HEAD = """# Ablations of latent3d

Made by `python docs/make_ablations.py` from the tables of [config/ablations.yaml](../config/ablations.yaml); change
it there. Embedded dataset ({subset}), small networks ({training} training steps in all), three sampling seeds of
{count} samples: mean and standard deviation over them. Rows of a table share one training seed: small differences may
be its noise. Times are in `table_cost_mini_ablations.csv`; of these runs they say nothing, since the machine was
shared. Raw geometries. Stability by the EDM rule; FCD and torsions (Wasserstein distance) against the training
molecules; relaxation energy: median of GFN2-xTB. `data_test` draws {count} of 404 molecules, so its V&U cannot be
higher.

"""
COMMENTS = """
- **Network evaluations.** 25 of DPM-Solver++ or of DDIM and 100 of DDIM cannot be told apart.
- **Objective.** Noise (`eps`) is worse than `v` in conformations and in their relaxation energy.
- **Width of z_2d.** Half of it costs exact reconstruction and relaxation energy; samples are more often new. Half
  the width of z_3d costs next to nothing.
- **Size.** With autoencoders of half the width graphs come back as well, but conformations suffer most: 9.7 kcal/mol.
- **KL term of z_2d.** Ten times its weight costs 5 points of exact reconstruction and FCD.
- **Springs.** Eight steps at inference, as many as in training, instead of 60: 3 points of stability, 1.6 kcal/mol.
- **Network.** At the same steps the transformer makes more new molecules and a worse FCD than the MLP, and its
  conformations relax further. FCD is against the training molecules: a row that repeats more of them has an advantage.
- **Guides and decodings** are in the second table, of another training of the same settings. Here, where FCD is at its
  floor already, a guide of z_2d costs ten points of new molecules and gains nothing; on 20,000 molecules of QM9 it
  takes two fifths off FCD ([README](../README.md#where-it-stands-on-qm9)).
- **EMA.** No effect that is seen here: the learning rate decays to nearly nothing.
- **Not tried**: flow matching, predicting x0, other optimisers than AdamW, Kekulé or aromatic bonds alone (both are
  features). One vector instead of slots is the system [oneshot](../src/latent3d/systems/oneshot/README.md). Matching
  of symmetric atoms is not needed, since their order follows from the conformer.
"""


def main(folders: list[Path]) -> None:
    """Write the page."""
    first = folders[0]
    table, cost = (_raw(first / f"{name}_{DATASET}.csv") for name in ("table", "table_cost"))
    subset, count = table["subset"].iloc[0], table["n_per_seed"].iloc[0]
    head = HEAD.format(subset=subset, count=count, training=_most_steps(cost))
    write_text(ROOT / "docs" / "ablations.md", "\n".join([head, *(_table(folder) for folder in folders)]) + COMMENTS)


def _table(results: Path) -> str:
    tables = {name: _raw(results / f"{name}_{DATASET}.csv") for name, _, _ in COLUMNS.values()}
    configuration = yaml.safe_load((ROOT / "config" / "ablations.yaml").read_text())
    # Those of the configuration that have been run.
    rows = [row for row in configuration["datasets"][DATASET]["rows"] if row in tables["table"].index]
    lines = ["| row | changed | " + " | ".join(COLUMNS) + " |", "|---" * (2 + len(COLUMNS)) + "|"]
    for row in rows:
        changed = "" if row == "data_test" else _changed(*(configuration["rows"][name] for name in (row, "latent3d")))
        cells = [_cell(tables[table], row, column, digits) for table, column, digits in COLUMNS.values()]
        lines.append(f"| {row} | {changed} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _raw(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path).set_index("row")
    return table[table["geometry"].isin(["raw"])] if "geometry" in table else table


def _changed(row: dict[str, Any], beside: dict[str, Any]) -> str:
    """The hyper-parameters in which two rows of latent3d differ, and what they are in the first."""
    found = []
    for stage in (*system_defaults("latent3d").stages, "sampling"):
        here, there = (
            hyperparameters(Row(base="latent3d", overrides=one.get("overrides", {})), stage, "quick")
            for one in (row, beside)
        )
        found += [f"{stage}.{key} {value}" for key, value in here.items() if value != there[key]]
    return ", ".join(found)


def _most_steps(table: pd.DataFrame) -> str:
    return f"{int(table['training_steps'].max()):,}"


def _cell(table: pd.DataFrame, row: str, column: str, digits: int) -> str:
    if row not in table.index or pd.isna(table.loc[row, column]):
        return ""
    value, spread = table.loc[row, column], table.loc[row].get(f"{column}_std", float("nan"))
    return f"{value:.{digits}f}" + ("" if pd.isna(spread) else f" ± {spread:.{digits}f}")


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]] or [ROOT / "results"])
