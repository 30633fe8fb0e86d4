"""The DAG of every shipped configuration: a job for every file that the plan names, and plain sentences for mistakes.

What the plan is, is tested in tests/plan.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from latent3d.plan.plan import read_plan
from latent3d.plan.targets import Targets

ROOT = Path(__file__).parents[2]


def planned(*overlays):
    """The targets of config.yaml with configuration files on top."""
    # Through JSON: what YAML aliases share would be changed together.
    raw = json.loads(json.dumps(load_configfile(ROOT / "config.yaml")))
    for overlay in overlays:
        update_config(raw, load_configfile(overlay))
    return Targets(read_plan(raw, ROOT, str(ROOT / "resources")))


def expected(targets):
    """Number of jobs by rule, of everything that `all` asks for, counted over the files of the plan."""
    plan = targets.plan
    counts = {"all": 1, "report": 1}
    for benchmark in plan.configuration.all:
        rows = plan.rows_of(benchmark)
        swept = [row for sweep in plan.sweeps_of(benchmark) for row in plan.sweeps[sweep]]
        shown = [Path(file).stem for file in targets.files(benchmark)]
        trained = {
            (owner, stage, seed)
            for row in [*rows, *swept]
            for seed in plan.train_seeds(benchmark, row)
            for stage, owner in plan.owners_of(plan.benchmarks[benchmark].dataset, row).items()
        }
        files = [file for name in [*plan.sweeps_of(benchmark)] for file in targets.figure_inputs(benchmark, name)]
        files += targets.table_inputs(benchmark, "autoencoder")
        more = {
            "prepare": 1,
            "reference": 1,
            "energy_reference": 1,
            "requests": 1,
            "download_qm9": int(plan.configuration.datasets[benchmark].source == "qm9"),
            "train": len(trained),
            "reconstruct": len({file for file in files if file.endswith("reconstruction.json")}),
            "interpolate": len(targets.figure_inputs(benchmark, "interpolation")),
            "sample": len(plan.sample_files(benchmark, [*rows, *swept], "samples.parquet", ["raw"])),
            "relax": len(plan.sample_files(benchmark, rows, "samples.parquet", ["mmff"])),
            "energy": len(plan.sample_files(benchmark, rows, "energies.parquet")),
            "score": len(plan.sample_files(benchmark, rows, "x"))
            + len(plan.sample_files(benchmark, swept, "x", ["raw"])),
            "main_table": 1,
            "table": sum(name.startswith("table_") for name in shown) - 1,
            "figure": sum(name.startswith("fig_") for name in shown),
        }
        counts = {rule: counts.get(rule, 0) + more.get(rule, 0) for rule in {**counts, **more}}
    return {rule: count for rule, count in counts.items() if count}


@pytest.mark.parametrize("overlay", [None, "quickstart", "ablations", "ldm3dg"])
def test_a_job_for_every_file_of_the_plan(jobs, overlay):
    files = [] if overlay is None else [ROOT / "config" / f"{overlay}.yaml"]
    counts = jobs(*(["--configfile", *files] if files else []))
    total = counts.pop("total")
    assert counts == expected(planned(*files))
    assert total < 3000


def test_one_table_needs_no_other_table(jobs):
    counts = jobs("results/table_qm9.csv")
    assert counts["main_table"] == 1
    assert not {"table", "figure", "reconstruct", "interpolate", "report"} & set(counts)


def test_shards_are_jobs_and_one_more_joins_them(jobs, snakemake):
    target = "results/table_energy_mini.csv", "--config"
    alone, counts = jobs(target[0]), jobs(*target, "energy={shards: 3}")
    assert counts.pop("energy_shard") == 3 * alone["energy"]
    assert counts.pop("total") == alone.pop("total") + 3 * alone["energy"]
    assert counts == alone
    done = snakemake("-n", "-p", *target, "energy={shards: 3, relaxation: 50, dynamics: all}")
    text = done.stdout + done.stderr
    assert set(re.findall(r"--shard (\S+)", text)) == {"1/3", "2/3", "3/3"}
    options = "--relaxation 50 --strain all --dynamics all --gfn2-dynamics 10"
    assert text.count(options) == 4 * alone["energy"]


def test_sampling_in_shards_is_more_jobs_for_rows_with_networks(jobs, snakemake):
    target = "results/table_mini.csv", "--config", "sample_shards=3"
    plan = planned().plan
    networks = sum(bool(plan.system(row).stages) for row in plan.rows_of("mini"))
    counts, alone = jobs(*target), jobs(target[0])
    assert counts.pop("sample_shard") == 3 * networks
    assert counts.pop("total") == alone.pop("total") + 3 * networks
    assert counts == alone
    done = snakemake("-n", "-p", *target)
    text = done.stdout + done.stderr
    assert text.count("--shard 2/3") == networks
    assert len(re.findall(r"latent3d sample (?!.*--shard)", text)) == len(plan.rows_of("mini"))


def test_jobs_are_told_what_the_plan_says(snakemake, tmp_path):
    sweep = "{benchmarks: [mini], rows: [edm], vary: {sampling.sampler: [ddpm, ddim], sampling.steps: [5, 20]}}"
    (tmp_path / "my.yaml").write_text(f"sweeps: {{cost: {sweep}}}\n")
    done = snakemake("-n", "-p", "results/fig_cost_mini.svg", "--configfile", "my.yaml")
    text = done.stdout + done.stderr
    assert text.count("--weights diffusion=results/mini/edm/train0/diffusion.safetensors") == 5
    assert '"sampler": "ddim", "steps": 5' in text
    assert text.count("--posebusters 0 --energy-ratio 0 --no-fcd") == 4
    assert text.count("--requests results/mini/requests.parquet") == 5 + 5  # sampling and scoring
    drawn = json.loads(re.search(r"figure sweep .*--rows '(.*?)' --results", text).group(1))
    assert [row["name"] for row in drawn] == ["edm", "edm-ddpm-5", "edm-ddpm-20", "edm-ddim-5", "edm-ddim-20"]


def test_released_weights_are_copied_and_rows_without_them_left_out(jobs, snakemake, tmp_path):
    target = "results/table_qm9_20k.csv", "--config", "weights=released"
    counts = jobs(*target)
    assert (counts["released"], counts["sample"]) == (6, 8) and "train" not in counts
    rows = "{qm9_20k: {rows: [data_test, latent3d, wide, edm, latent3d_etkdg]}}"
    wide = "{wide: {base: latent3d, overrides: {diffusion_2d: {width: 8}}}}"
    (tmp_path / "my.yaml").write_text(f"weights: released\ndatasets: {rows}\nrows: {wide}\n")
    assert jobs(target[0], "--configfile", "my.yaml")["sample"] == 3
    done = snakemake(target[0], "--configfile", "my.yaml", "--cores", "1", "--until", "released")
    assert done.returncode == 0, done.stderr
    assert "qm9_20k: left out, since their weights were not released: wide, edm" in done.stderr
    of = tmp_path / "results/qm9_20k/latent3d/train0"
    there = ROOT / "resources/checkpoints/qm9_20k/latent3d"
    for file in ("topology.safetensors", "geometry.run.json", "diffusion_3d.log.csv"):
        assert (of / file).read_bytes() == (there / file).read_bytes()


def test_a_users_own_dataset(jobs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.sdf").touch()
    Path("mine.yaml").write_text(
        "all: [mine]\ndatasets: {mine: {source: file, file: mine.sdf, split: [0.8, 0.1, 0.1]}}\n"
    )
    counts = jobs("--configfile", "mine.yaml")
    del counts["total"]
    assert counts == expected(planned("mine.yaml"))


def test_submissions_are_rows_of_one_job(jobs, snakemake, tmp_path):
    for name in ("a.sdf", "b.sdf"):
        (tmp_path / name).touch()
    (tmp_path / "my.yaml").write_text("submissions: {theirs: {file: [a.sdf, b.sdf], benchmarks: [mini]}}\n")
    target = "results/table_mini.csv", "--configfile", "my.yaml"
    with_submission, without = jobs(*target), jobs(target[0])
    more = {kind: count - without.get(kind, 0) for kind, count in with_submission.items()}
    expected = {"submission": 1, "energy": 1, "score": 1}
    assert {kind: n for kind, n in more.items() if n and kind != "total"} == expected
    # Not a row of other datasets, and after MMFF94 only if asked for.
    assert "submission" not in jobs("results/table_qm9.csv", *target[1:])
    (tmp_path / "my.yaml").write_text(
        "submissions: {theirs: {file: a.sdf, benchmarks: [mini], variants: [raw, mmff], published: {raw: edm}}}\n"
    )
    assert jobs(*target)["relax"] == without["relax"] + 1
    done = snakemake("-n", "-p", *target)
    assert "latent3d submission a.sdf --out results/mini/theirs/train0/raw/samples.parquet" in done.stdout + done.stderr


def test_every_command_is_one_that_the_package_has(snakemake):
    done = snakemake("-n", "-p", "all")
    called = set(re.findall(r"Shell command: latent3d (\S+)", done.stdout + done.stderr))
    expected = {"download", "prepare", "requests", "train", "reconstruct", "interpolate", "sample", "relax"}
    expected |= {"reference", "energy", "score", "table", "figure", "report"}
    assert called == expected


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("sample_cuont: 5", "unknown key 'sample_cuont'. Did you mean 'sample_count'?"),
        ("datasets: {mini: {preest: quick}}", "unknown key 'datasets.mini.preest'. Did you mean 'preset'?"),
        ("datasets: {mini: {preset: cpu_long}}", "have no preset 'cpu_long'"),
        ("sample_count: -5", "key 'sample_count': Input should be greater than 0 (got -5)."),
        ("device: gpu", "key 'device': Input should be 'auto', 'cpu' or 'cuda' (got 'gpu')."),
        (
            "datasets: {mine: {source: file, file: my.sdf, split: [0.8, 0.2]}}",
            "key 'datasets.mine.split': Value error, give `column`, or the shares of train, valid and test",
        ),
        ("sample_seeds: [-1]", "greater than or equal to 0"),
        ("datasets: {mini: {sample_seeds: []}}", "at least 1 item"),
        ("sample_seeds: [0, 0]", "every entry may stand here once"),
        ("rows: {latent3d: {variants: []}}", "at least 1 item"),
        ("rows: {a/b: {base: latent3d}}", "config key rows.a/b: use letters, digits"),
        (
            "datasets: {energy_mini: {source: mini}}",
            "cannot begin with energy_, or table_energy_mini.csv could be the energy table of 'mini'.",
        ),
        ("rows: {latent3d: {samples_of: latent3d_etkdg}}", "starts from the samples of another row itself."),
        ("sweeps: {steps: {rows: [emd]}}", "config key sweeps.steps.rows: there is no row 'emd'. Did you mean 'edm'?"),
        (
            "sweeps: {quality: {benchmarks: [], rows: [edm], vary: {sampling.steps: [5]}}}",
            "and none of quality, energy",
        ),
        (
            "sweeps: {mine: {benchmarks: [], rows: [edm], vary: {sampling.steps: [5], sampling.sampler: [ddim]}}}",
            "the last setting, 'sampling.sampler', is the x-axis: give it numbers, or put it before.",
        ),
        ("sweeps: {steps: {vary: {stepz: [5]}}}", "'stepz' must have the form stage.hyper-parameter"),
        ("sweeps: {steps: {vary: {sampling.stepz: [5]}}}", "unknown hyper-parameter 'stepz'. Did you mean 'steps'?"),
        ("comparisons: {mine: [emd]}", "config key comparisons.mine: there is no row 'emd'. Did you mean 'edm'?"),
        ("comparisons: {steps: [edm]}", "config key comparisons.steps: use letters, digits and underscores, and none"),
        ("all: [mni]", "config key all: there is no benchmark 'mni'. Did you mean 'mini'?"),
        ("rows: {latent3d: {base: latend3d}}", "There is no system 'latend3d'. Did you mean 'latent3d'?"),
        ("rows: {latent3d: {overrides: {topolgy: {steps: 5}}}}", "names the stage 'topolgy'. Did you mean 'topology'?"),
        (
            "rows: {latent3d: {overrides: {topology: {stepz: 5}}}}",
            "stage 'topology': unknown hyper-parameter 'stepz'. Did you mean 'steps'?",
        ),
        (
            "submissions: {theirs: {file: nowhere.sdf, benchmarks: [mini]}}",
            "config key submissions.theirs.file: nowhere.sdf does not exist.",
        ),
        (
            "submissions: {cloud: {file: Snakefile, benchmarks: [mini]}}",
            "config key submissions.cloud: there is a row of that name already.",
        ),
        (
            "submissions: {theirs: {fiel: a.sdf, benchmarks: [mini]}}",
            "unknown key 'submissions.theirs.fiel'. Did you mean 'file'?",
        ),
        (
            "submissions: {theirs: {file: [a.sdf, a.sdf], benchmarks: [mini]}}",
            "key 'submissions.theirs.file': Value error, every entry may stand here once",
        ),
        ("metrics: {posebusters: some}", "key 'metrics.posebusters"),
        ("energy: {relaxation: some}", "key 'energy.relaxation"),
        ("energy: {shards: 0}", "key 'energy.shards'"),
        ("energy: {relaxations: 5}", "unknown key 'energy.relaxations'. Did you mean 'relaxation'?"),
        ("metrics: {posbusters: 5}", "unknown key 'metrics.posbusters'. Did you mean 'posebusters'?"),
        (
            "datasets: {mine: {source: file, file: nowhere.sdf}}",
            "config key datasets.mine.file: nowhere.sdf does not exist.",
        ),
    ],
)
def test_a_mistake_ends_in_one_plain_sentence(snakemake, tmp_path, text, sentence):
    (tmp_path / "my.yaml").write_text(text)
    done = snakemake("-n", "--configfile", "my.yaml")
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    said = [line for line in done.stderr.splitlines() if line.startswith("latent3d: ")]
    assert len(said) == 1


def test_lint_and_format_are_clean(snakemake):

    lint = snakemake("--lint")
    assert lint.returncode == 0, lint.stdout + lint.stderr
    snakefmt = Path(sys.executable).with_name("snakefmt")
    checked = subprocess.run([snakefmt, "--check", "Snakefile", "workflow"], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_building_the_dag_does_not_import_torch(tmp_path):

    arguments = ["-n", "-s", str(ROOT / "Snakefile"), "all"]
    code = (
        "import sys; from snakemake.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "assert 'latent3d.plan' in sys.modules and 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.stem)
def test_overlays_override_only_what_config_knows(path):
    config, overlay = (yaml.safe_load(file.read_text()) for file in (ROOT / "config.yaml", path))
    assert set(overlay) <= set(config), json.dumps(overlay)
