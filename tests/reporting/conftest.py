"""Small measured results: two sampling seeds of three rows, one of them with failures, in the layout of results/."""

import json

import numpy as np
import pandas as pd
import pytest
from commands import latent3d, shown
from rdkit import Chem
from rdkit.Chem import AllChem

from latent3d.base.files import write_json
from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.parquet import write_parquet
from latent3d.data.molecules.rdkit import from_rdkit
from latent3d.reporting.catalogue import FIGURES, TABLES
from latent3d.reporting.figures import make_figure
from latent3d.reporting.published import read_published
from latent3d.reporting.rows import parse_rows
from latent3d.reporting.tables import make_table, write_table

SMILES = ["CCO", "c1ccoc1", "C[C@H](N)C=O", "C#N", "CC(=O)[O-]", "c1cc[nH]c1", "FC1CC1", "O"]
NOTHING = Molecule(np.zeros(0, np.uint8), np.zeros((0, 3), np.float32))


def molecules(failed=()):
    """The molecules of SMILES with ETKDG geometries; those in `failed` are empty."""
    made = []
    for number, smiles in enumerate(SMILES):
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        AllChem.EmbedMolecule(mol, randomSeed=1)
        made.append(NOTHING if number in failed else from_rdkit(mol))
    return made


def write_samples(folder, values, failed=()):
    """One set of samples with every measurement beside it. `values` are the metrics of metrics.json."""
    n = len(SMILES)
    status = ["decode_failed" if number in failed else "ok" for number in range(n)]
    table = pd.DataFrame({"sample_index": range(n), "seed": 0, "status": status})
    write_parquet(folder / "samples.parquet", from_list(molecules(failed), table))
    ok, index = ~np.isin(range(n), list(failed)), np.arange(n)
    reason = np.where(ok, "ok", "decode_failed")
    pd.DataFrame(
        {
            "sample_index": index,
            "heavy_atoms": 3,
            "status": reason,
            "energy_per_atom": np.where(ok, -3.0 + 0.01 * index, np.nan),
            "relax_status": np.where(index < 6, reason, None),
            "relaxation_energy": np.where(ok & (index < 6), 0.5 * 3.0**index, np.nan),
            "graph_survived": np.where(ok & (index < 6), index != 5, None),
        }
    ).to_parquet(folder / "energies.parquet")
    pd.DataFrame(
        {
            "sample_index": index,
            "sample": reason,
            "bonds": "given",
            "strict": np.where(index == 4, "charged", reason),
            "stability": np.where(ok, "ok", "no_graph"),
            "posebusters": np.where(index == 0, "bond_angles", None),
            "gfn2": reason,
            "legacy_stable": ok,
            "smiles": np.where(ok, SMILES, None),
            "novel": np.where(ok, True, None),
        }
    ).to_csv(folder / "ledger.csv", index=False)
    failures = {"decode_failed": len(failed)} if failed else {}
    provenance = {"samples_sha256": "ab" * 32, "versions": {"rdkit": "2026.9.1"}}
    metrics = {"schema_version": 1, "n_requested": n, "values": values, "failures": failures, "provenance": provenance}
    metrics["counts"] = {"relaxation_asked": 6}
    metrics["energy_failures"] = {"single_point": failures, "relaxation": {**failures, "topology_changed": 1}}
    write_json(folder / "metrics.json", metrics)
    write_json(folder / "run.json", {"seconds": 4.0, "peak_memory_mb": 500.0, "device": "cpu"})


def strip():
    """A path between the first two molecules: the first, one frame that is the first, one that failed, the second."""
    a, b = molecules()[:2]
    table = {"pair": 0, "origin": ["held_out", "decoded", "decoded", "held_out"], "place": [None, 0.0, 1.0, None]}
    status = ["ok", "ok", "decode_failed", "ok"]
    return from_list([a, a, NOTHING, b], pd.DataFrame({**table, "status": status}))


def metric_values(stability, wasserstein=1.5):
    names = ["legacy_atom_stability", "legacy_validity", "legacy_uniqueness", "legacy_novelty", "strict_validity"]
    values = dict.fromkeys([*names, "valid_unique", "valid_unique_novel", "gfn2_success"], 0.9)
    energies = {"gfn2_energy_per_atom_wasserstein": wasserstein, "relaxation_energy_median": 4.5}
    return {**values, **energies, "legacy_molecule_stability": stability, "ldm3dg_molecule_stability": stability}


ROWS = [
    {"name": "data_test", "base": "controls", "position": 0, "variants": ["raw", "mmff"], "train_seeds": [0]},
    {"name": "cloud", "base": "controls", "position": 4, "variants": ["raw"], "train_seeds": [0]},
    {
        "name": "ours",
        "base": "latent3d",
        "position": 5,
        "variants": ["raw", "mmff"],
        "train_seeds": [0, 1],
        "stages": {"topology": "ours", "diffusion": "ours"},
        "autoencoder": True,
        "interpolation": True,
        "published": {"raw": "ldm3dg_no_mmff", "mmff": "ldm3dg"},
    },
]


@pytest.fixture(scope="session")
def rows_json():
    return json.dumps([{"dataset": "toy", "sample_seeds": [0, 1], **row} for row in ROWS])


@pytest.fixture(scope="session")
def rows(rows_json):
    return parse_rows(rows_json)


@pytest.fixture(scope="session")
def results(tmp_path_factory, rows):
    """results/ with the measurements of the dataset `toy`."""
    root = tmp_path_factory.mktemp("results")
    split = ["train"] * 5 + ["valid"] + ["test"] * 2
    write_parquet(root / "toy" / "dataset.parquet", from_list(molecules(), pd.DataFrame({"split": split})))
    for row in rows:
        for train in row.train_seeds:
            folder = root / "toy" / row.name / f"train{train}"
            for stage in row.stages:
                run = {"seconds": 60.0 + 20 * train, "peak_memory_mb": 900, "device": "cpu", "parameters": 1000}
                write_json(folder / f"{stage}.run.json", {**run, "steps": 200})
                steps = np.arange(1, 200, 10)
                log = pd.DataFrame({"step": steps, "loss": 2 / steps + 0.1 * (1 + train)})
                log.to_csv(folder / f"{stage}.log.csv", index=False)
            if row.autoencoder:
                values = {"exact_match_2d": 0.9 + 0.02 * train, "rmsd_heavy": 0.2, "rmsd_heavy_shuffled": 0.6}
                quantiles = {
                    f"rmsd_{atoms}{codes}": (np.linspace(0.01, 0.5, 101) * scale).tolist()
                    for atoms in ("heavy", "all")
                    for codes, scale in (("", 1), ("_shuffled", 4))
                }
                counts = {"schema_version": 1, "n": 2, "n_encoded": 2, "n_failed_geometry": train}
                write_json(folder / "reconstruction.json", {**counts, "values": values, "quantiles": quantiles})
                write_parquet(folder / "interpolation.parquet", strip())
            for sample in row.sample_seeds:
                for geometry in row.variants:
                    if row.name == "cloud":
                        values, failed = {**metric_values(0.0, None), "strict_validity": 0.0}, tuple(range(8))
                    else:
                        values, failed = metric_values(0.8 + 0.02 * sample + 0.04 * train), (1,) * (row.name == "ours")
                    write_samples(folder / f"sample{sample}" / geometry, values, failed)
    return root


@pytest.fixture(scope="session")
def made(results, rows, rows_json):
    """Tables and figures of `toy`; one of each by the commands that the workflow calls."""
    common = ["--dataset", "toy", "--rows", rows_json, "--results", results]
    for name in list(TABLES)[1:]:
        write_table(results / f"table_{name}_toy.csv", make_table(name, "toy", rows, results))
    for name in list(FIGURES)[1:]:
        make_figure(
            name,
            "toy",
            rows,
            results,
            results / f"fig_{name}_toy.svg",
            read_published("resources/published/published_results.csv"),
        )
    for kind, out in (("table", "table_toy.csv"), ("figure", "fig_quality_toy.svg")):
        done = latent3d(kind, "quality", *common, "--out", results / out)
        assert done.returncode == 0, done.stderr
    return results


@pytest.fixture(scope="session")
def report(made):
    """The report on `toy`, by the command that the workflow calls."""
    out = made / "report.html"
    done = latent3d("report", *shown(made), "--results", made, "--datasets", "toy", "--out", out)
    assert done.returncode == 0, done.stderr
    return out
