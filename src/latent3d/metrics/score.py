"""One samples file to its ledger (one line per requested sample) and metrics.json.

Every rate is over all rows of the samples file. A failed sample counts against every rate and is never dropped.
"""

import sys
import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from latent3d.errors import UserError
from latent3d.files import atomic_path, hash_file, write_json
from latent3d.metrics import legacy
from latent3d.metrics.distributions import energy_per_atom_wasserstein
from latent3d.metrics.intervals import wilson
from latent3d.metrics.strict import USABLE_STATUSES, reference_smiles, strict_validity
from latent3d.metrics.uniqueness import count_unique
from latent3d.molecules.molecules import Molecules
from latent3d.molecules.parquet import read_metadata, read_parquet
from latent3d.run import versions

SCHEMA_VERSION = 1

_LEDGER = pa.schema(
    [
        ("sample_index", pa.int64()),
        ("seed", pa.int64()),
        ("sample", pa.string()),
        ("strict", pa.string()),
        ("gfn2", pa.string()),
        ("smiles", pa.string()),
        ("novel", pa.bool_()),
        ("atoms", pa.int64()),
        ("legacy_stable_atoms", pa.int64()),
        ("legacy_stable", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class Reference:
    """What samples are compared with; derived sets are computed once, when first needed.

    Attributes:
        molecules: the dataset, all splits.
        sha256: of its file.
        energies: [R] GFN2 energies in hartree per atom, or None.
        energies_sha256: of the file they come from.
    """

    molecules: Molecules
    sha256: str
    energies: np.ndarray | None = None
    energies_sha256: str | None = None

    @cached_property
    def elements(self) -> set[int]:
        """Atomic numbers that occur in any split."""
        return set(np.unique(self.molecules.atomic_numbers).tolist())

    @cached_property
    def train(self) -> Molecules:
        """The training molecules: what novelty is measured against."""
        return self.molecules.split("train")

    @cached_property
    def train_smiles(self) -> set[str]:
        """Canonical SMILES of the training molecules' graphs."""
        return reference_smiles(self.train)

    @cached_property
    def legacy_train_smiles(self) -> set[str]:
        """SMILES of the training molecules as the EDM rule perceives them."""
        return set(legacy.smiles(self.train, legacy.perceive(self.train))) - {None}


def read_reference(dataset: Path, energies: Path | None = None) -> Reference:
    """Read the reference dataset, and the gfn2.parquet whose energies are the reference distribution.

    Raises:
        UserError: a file is missing or unreadable, or the dataset has no training molecules.
    """
    molecules = read_parquet(dataset)
    if "split" not in molecules.table or not (molecules.table["split"] == "train").any():
        raise UserError(f"{dataset} has no molecules whose column 'split' says train. Make it with latent3d prepare.")
    if energies is None:
        return Reference(molecules, hash_file(dataset))
    table = _read_energies(energies)
    per_atom = table["energy_per_atom"].where(table["status"] == "ok").to_numpy(float)
    return Reference(molecules, hash_file(dataset), per_atom, hash_file(energies))


def score_file(samples: Path, reference: Reference) -> dict[str, Any]:
    """Write ledger.parquet and metrics.json beside a samples file; return the content of the latter.

    gfn2.parquet beside it, if there, gives the energy metrics; they are null otherwise.

    Raises:
        UserError: a file is missing, unreadable, or gfn2.parquet is of other samples.
    """
    molecules = read_parquet(samples)
    energies_file = samples.with_name("gfn2.parquet")
    energies = _read_energies(energies_file) if energies_file.is_file() else None
    samples_sha256 = hash_file(samples)
    if energies is not None and (
        list(energies["sample_index"]) != list(_sample_index(molecules))
        or read_metadata(energies_file).get("samples_sha256", samples_sha256) != samples_sha256
    ):
        raise UserError(f"{energies_file} is not of the samples in {samples}. Delete it and run latent3d energy again.")
    ledger, metrics = score(molecules, reference, energies)
    metrics["provenance"] = {
        "samples_sha256": samples_sha256,
        "reference_sha256": reference.sha256,
        "energies_sha256": hash_file(energies_file) if energies is not None else None,
        "reference_energies_sha256": reference.energies_sha256,
        "versions": versions(["latent3d", "numpy", "rdkit", "scipy"]),
    }
    with atomic_path(samples.with_name("ledger.parquet")) as temporary:
        table = pa.Table.from_pandas(ledger, schema=_LEDGER, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(table, temporary, compression="zstd")
    write_json(samples.with_name("metrics.json"), metrics)
    return metrics


def score(
    samples: Molecules, reference: Reference, energies: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The ledger and the metrics (without provenance) of samples.

    Args:
        samples: one row per requested sample; without a column `status`, all count as ok.
        reference: what to compare with.
        energies: columns `status` and `energy_per_atom` (hartree) of the same rows, if GFN2 has run.
    """
    n = len(samples)
    status = samples.table["status"].tolist() if "status" in samples.table else ["ok"] * n
    usable = np.isin(np.array(status, dtype=object), USABLE_STATUSES)
    old = legacy.legacy_scores(samples, reference.legacy_train_smiles, usable)
    strict = strict_validity(samples, reference.elements, status)
    sets = count_unique(strict.smiles, reference.train_smiles)
    gfn2 = None if energies is None else _energy_status(energies, status, usable)
    ledger = pd.DataFrame(
        {
            "sample_index": _sample_index(samples),
            "seed": samples.table["seed"] if "seed" in samples.table else pd.Series([None] * n, dtype="Int64"),
            "sample": status,
            "strict": strict.status,
            "gfn2": pd.Series([None] * n if gfn2 is None else gfn2, dtype=object),
            "smiles": pd.Series(strict.smiles, dtype=object),
            "novel": pd.Series([None if s is None else s not in reference.train_smiles for s in strict.smiles]),
            "atoms": samples.atom_counts,
            "legacy_stable_atoms": old.stable_atoms,
            "legacy_stable": old.stable,
        }
    )
    counts = {
        "requested": n,
        "sample_ok": int(usable.sum()),
        "strict_valid": sets.valid,
        "valid_unique": sets.unique,
        "valid_unique_novel": sets.novel,
        **old.counts,
    }
    values = {
        "legacy_atom_stability": old.atom_stability,
        "legacy_molecule_stability": old.molecule_stability,
        "legacy_validity": old.validity,
        "legacy_uniqueness": old.uniqueness,
        "legacy_novelty": old.novelty,
        **sets.rates(),
        "gfn2_success": None,
        "gfn2_energy_per_atom_wasserstein": None,
    }
    rates = {
        "legacy_molecule_stability": counts["legacy_stable_molecules"],
        "legacy_validity": counts["legacy_valid"],
        "strict_validity": sets.valid,
    }
    if gfn2 is not None:
        done = np.array(gfn2, dtype=object) == "ok"
        counts["gfn2_ok"] = rates["gfn2_success"] = int(done.sum())
        values["gfn2_success"] = counts["gfn2_ok"] / n if n else None
        if reference.energies is not None:
            values["gfn2_energy_per_atom_wasserstein"] = energy_per_atom_wasserstein(
                energies["energy_per_atom"].to_numpy(float)[done], reference.energies
            )
    return ledger, {
        "schema_version": SCHEMA_VERSION,
        "n_requested": n,
        "values": values,
        # Samples are independent draws, so Wilson holds for rates of samples; not for shares of atoms or of sets.
        "intervals": {name: list(wilson(successes, n)) for name, successes in rates.items()} if n else {},
        "counts": counts,
        "failures": _failures(ledger),
    }


def score_files(files: list[Path], dataset: Path, energies: Path | None) -> None:
    """`score_file` for several files against one reference, with progress on stderr."""
    reference = read_reference(dataset, energies)
    began = time.monotonic()
    train = len(reference.train)
    print(f"score: {len(files)} files; {train:,} training molecules, about {train * 0.0008:.0f} s", file=sys.stderr)
    for i, file in enumerate(files, start=1):
        values = score_file(file, reference)["values"]
        valid = "-" if values["strict_validity"] is None else f"{100 * values['strict_validity']:.1f} %"
        elapsed = time.monotonic() - began
        print(f"score: {i} of {len(files)}: {file}: strictly valid {valid} ({elapsed:.0f} s)", file=sys.stderr)


def _sample_index(samples: Molecules) -> np.ndarray:
    table = samples.table
    return table["sample_index"].to_numpy() if "sample_index" in table else np.arange(len(samples))


def _energy_status(energies: pd.DataFrame, sample_status: list[str], usable: np.ndarray) -> list[str]:
    """GFN2's status of each sample; a sample that had failed before keeps its own reason, whatever geometry it left."""
    return [e if use else s for e, s, use in zip(energies["status"], sample_status, usable, strict=True)]


def _failures(ledger: pd.DataFrame) -> dict[str, int]:
    """Number of samples by reason, each sample once: the reason of the first stage that it did not pass."""
    reasons = [
        next((reason for reason in stages if reason is not None and reason != "ok"), None)
        for stages in ledger[["sample", "strict", "gfn2"]].itertuples(index=False)
    ]
    return dict(sorted(Counter(reason for reason in reasons if reason is not None).items()))


def _read_energies(path: Path) -> pd.DataFrame:
    columns = ["sample_index", "status", "energy_per_atom"]
    try:
        return pq.read_table(path, columns=columns).to_pandas()
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist. Run latent3d energy on the samples beside it.") from error
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is not a readable gfn2.parquet ({reason}). Delete it and make it again.") from error
