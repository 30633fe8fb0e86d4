"""Small measured results: two sampling seeds of three rows, one of them with failures, in the layout of results/."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from commands import latent3d, shown
from rdkit import Chem
from rdkit.Chem import AllChem

from latent3d.base.files import write_json
from latent3d.base.layout import Layout
from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.parquet import write_parquet
from latent3d.data.molecules.rdkit import from_rdkit
from latent3d.data.records import concatenate
from latent3d.evaluation.measures import Measures
from latent3d.evaluation.measures_file import lines_of, write_measures
from latent3d.reporting.catalogue import FIGURES, TABLES
from latent3d.reporting.make import make_figure, make_table
from latent3d.reporting.material import Material
from latent3d.reporting.published import read_published
from latent3d.reporting.rows import parse_rows

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


def samples_of(seed, failed=()):
    """One set of samples."""
    n = len(SMILES)
    status = ["decode_failed" if number in failed else "ok" for number in range(n)]
    return from_list(molecules(failed), pd.DataFrame({"sample_index": range(n), "seed": seed, "status": status}))


def energies_of(seed, failed=()):
    index = np.arange(len(SMILES))
    ok = ~np.isin(index, list(failed))
    reason = np.where(ok, "ok", "decode_failed")
    return pd.DataFrame(
        {
            "sample_index": index,
            "seed": seed,
            "heavy_atoms": 3,
            "status": reason,
            "energy_per_atom": np.where(ok, -3.0 + 0.01 * index, np.nan),
            "relax_status": np.where(index < 6, reason, None),
            "relaxation_energy": np.where(ok & (index < 6), 0.5 * 3.0**index, np.nan),
            "graph_survived": np.where(ok & (index < 6), index != 5, None),
        }
    )


def ledger_of(seed, failed=()):
    index = np.arange(len(SMILES))
    ok = ~np.isin(index, list(failed))
    reason = np.where(ok, "ok", "decode_failed")
    return pd.DataFrame(
        {
            "sample_index": index,
            "seed": seed,
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
    )


def measures_of(values, failed=()):
    """What is measured of one set, given the values."""
    measures = Measures(len(SMILES), values=dict(values))
    measures.counts |= {"requested": len(SMILES), "relaxation_asked": 6, "gfn2_success": len(SMILES) - len(failed)}
    measures.of["gfn2_success"] = len(SMILES)
    measures.stage(["decode_failed" if number in failed else "ok" for number in range(len(SMILES))])
    failures = {"decode_failed": len(failed)} if failed else {}
    measures.failed = {"single_point": failures, "relaxation": {**failures, "topology_changed": 1}}
    return measures


def write_row(folder, identity, values, failed=()):
    """The samples of a row and training seed with every measurement. `values` are those of each sampling seed."""
    folder.mkdir(parents=True, exist_ok=True)
    write_parquet(folder / "samples.parquet", concatenate([samples_of(seed, failed) for seed in values]))
    pd.concat([energies_of(seed, failed) for seed in values]).to_parquet(folder / "energies.parquet")
    pd.concat([ledger_of(seed, failed) for seed in values]).to_csv(folder / "ledger.csv", index=False)
    sets = {seed: measures_of(of_seed, failed) for seed, of_seed in values.items()}
    lines = [line for seed, measures in sets.items() for line in lines_of(measures, {**identity, "seed": seed})]
    provenance = {"samples_sha256": "ab" * 32, "versions": {"rdkit": "2026.9.1"}}
    write_measures(folder / "measures.parquet", lines, {"provenance": provenance})
    by_seed = {str(seed): {"seconds": 4.0, "samples": len(SMILES)} for seed in values}
    run = {"seconds": 8.0, "samples": 16, "by_seed": by_seed, "peak_memory_mb": 500.0, "device": "cpu"}
    write_json(folder / "run.json", run)


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
    """results/ with the measurements of the benchmark `toy`."""
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
            for variant in row.variants:
                identity = {"benchmark": "toy", "row": row.name, "train_seed": train, "variant": variant}
                if row.name == "cloud":
                    nothing = {**metric_values(0.0, None), "strict_validity": 0.0}
                    values, failed = dict.fromkeys(row.sample_seeds, nothing), tuple(range(8))
                else:
                    failed = (1,) * (row.name == "ours")
                    values = {s: metric_values(0.8 + 0.02 * s + 0.04 * train) for s in row.sample_seeds}
                write_row(folder / variant, identity, values, failed)
    return root


@pytest.fixture(scope="session")
def material(results, rows):
    """What the tables and figures of `toy` are made of."""
    return Material("toy", rows, Layout(results))


@pytest.fixture(scope="session")
def published():
    return read_published("resources/published/published_results.csv")


@pytest.fixture(scope="session")
def made(results, material, published, rows_json):
    """Tables and figures of `toy`; one of each by the commands that the workflow calls."""
    common = ["--benchmark", "toy", "--rows", rows_json, "--results", results]
    for name, entry in list(TABLES.items())[1:]:
        make_table(entry, material, results / f"table_{name}_toy.csv")
    for name, entry in list(FIGURES.items())[1:]:
        make_figure(entry, replace(material, published=published), results / f"fig_{name}_toy.svg")
    for kind, out in (("table", "table_toy.csv"), ("figure", "fig_quality_toy.svg")):
        done = latent3d(kind, "quality", *common, "--out", results / out)
        assert done.returncode == 0, done.stderr
    return results


@pytest.fixture(scope="session")
def report(made, rows_json):
    """The report on `toy`, by the command that the workflow calls."""
    out = made / "report.html"
    benchmark = json.dumps({"name": "toy", "task": "unconditional", "rows": json.loads(rows_json)})
    done = latent3d("report", *shown(made), "--results", made, "--benchmark", benchmark, "--out", out)
    assert done.returncode == 0, done.stderr
    return out
