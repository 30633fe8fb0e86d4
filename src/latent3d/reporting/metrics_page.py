"""docs/metrics.md: every quantity of the registry, so that tables and documentation cannot disagree."""

from latent3d.evaluation.quantity import DIRECTION_LABELS, UNIT_LABELS
from latent3d.evaluation.registry import FAMILIES

_HEAD = """# Metrics

Made by `latent3d metrics --out docs/metrics.md` from `src/latent3d/evaluation/registry.py`; change it there.

**Accounting.** Every requested sample stays in every denominator unless a definition says otherwise, and every failure
has a reason in `ledger.csv`. A sample is judged by the graph its file gives; where there is none, bonds are perceived
by RDKit's DetermineBonds at charge 0. Canonical SMILES are RDKit's, hydrogens removed, without stereo marks, alike for
samples and training molecules. Distances are to the training molecules: compare them with those of real test molecules
("floor"), not with 0. Values of whole sets depend on the number of samples: compare equal numbers.

**Intervals (95 %).** Rates of samples: Wilson (with no failure among n, its bound is above 3/n). Means and shares of
atoms: percentile bootstrap over molecules. Uniqueness and V&U: a jackknife over samples, conservative. Distances and
other values of sets: value ± t s/√5 from five disjoint random folds, since a bootstrap with replacement makes
duplicates and biases them. All are deterministic under `--seed`.

**Names.** The name is the key in `metrics.json` and the quantity in `measures.parquet` (rates as fractions of 1); the
table's column adds unit and direction (`pct`: percent; `up`: higher is better; `down`: lower is better; neither: to be
compared with real molecules).
"""


def metrics_page() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for family, quantities in FAMILIES.items():
        parts.append(f"\n## {family}\n\n| name | unit | better | definition |\n|---|---|---|---|\n")
        for quantity in quantities:
            unit, better = UNIT_LABELS.get(quantity.unit, ""), DIRECTION_LABELS.get(quantity.direction, "")
            meaning = quantity.meaning.replace("|", "\\|")
            parts.append(f"| `{quantity.name}` | {unit} | {better} | {meaning} |\n")
    return "".join(parts)
