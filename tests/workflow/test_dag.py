"""The DAG of every shipped configuration, of a user's dataset, and of mistakes in the configuration."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]

# Rows of config.yaml, those with mmff, trained stages of all, autoencoders; variants of the sweep of steps.
ROWS, RELAXED, TRAINED, AUTOENCODERS, VARIANTS = 27, 19, 45, 14, 30


def grouped(counts):
    """Counts by kind of rule: the rules that are made per dataset together."""
    total = {}
    for rule, count in counts.items():
        kind = re.sub(r"^(sample|relax|energy|score)_(mini|qm9_5k|qm9_20k|qm9|mine).*", r"\1", rule)
        total[kind] = total.get(kind, 0) + count
    return total


def of_one_dataset(
    tables=5, figures=10, rows=ROWS, relaxed=RELAXED, trained=TRAINED, autoencoders=AUTOENCODERS, paths=2
):
    kinds = {"prepare": 1, "reference": 1, "energy_reference": 1, "train": trained, "reconstruct": autoencoders}
    kinds["interpolate"] = paths  # latent3d, plain and self-supervised
    measured = {"sample": rows, "relax": relaxed, "energy": rows, "score": rows}
    return {**kinds, **measured, "table_quality": 1, "table": tables - 1, "figure": figures}


def with_latent_dimension(counts):
    """Two widths of z_2d times three of z_3d: 2 topologies, 3 geometries, a diffusion each."""
    more = {"train": 11, "reconstruct": 6, "sample": 6, "score": 6, "figure": 1}
    return {kind: count + more.get(kind, 0) for kind, count in counts.items()}


def with_sweep(counts):
    return {**counts, **{kind: counts[kind] + VARIANTS for kind in ("sample", "score")}, "figure": counts["figure"] + 1}


def test_paper_scale(jobs):
    counts = grouped(jobs("all"))
    total = counts.pop("total")
    once = {"download_qm9": 1, "report": 1, "all": 1}
    both = {kind: 2 * n for kind, n in with_sweep(of_one_dataset()).items()}
    assert counts == {**with_latent_dimension(both), **once}
    assert total < 3000


def test_quickstart_is_one_dataset_without_download(jobs):
    counts = grouped(jobs("--configfile", ROOT / "config" / "quickstart.yaml"))
    del counts["total"]
    # Without GeoLDM's trained encoder, the self-supervised variants and the one-shot autoencoder; the point models as
    # they are made.
    fewer = {"rows": ROWS - 8, "relaxed": RELAXED - 9, "trained": TRAINED - 22, "autoencoders": AUTOENCODERS - 7}
    shown = of_one_dataset(**fewer, paths=1)
    assert counts == {**shown, "report": 1, "all": 1}


@pytest.mark.parametrize(
    ("name", "rows", "trained"),
    [
        # latent3d 6 stages, z_2d_4 and beta_0.1 all but geometry, z_3d_2 and springs_8 all but those of z_2d,
        # half_width all, eps, no_ema and transformer their two diffusions.
        ("ablations", 16, 6 + 2 * 5 + 2 * 3 + 6 + 3 * 2),
        # latent3d and its self-supervised variant 6 each, oneshot 2, ldm3dg 3, prior 2, corrected 3, 4 self-supervised
        # variants 3 each; single corrections the diffusion.
        ("ldm3dg", 18, 2 * 6 + 2 + 3 + 2 + 3 + 4 * 3 + 3),
    ],
)
def test_studies_train_shared_stages_once(jobs, name, rows, trained):
    counts = jobs("--configfile", ROOT / "config" / f"{name}.yaml")
    assert sum(count for rule, count in counts.items() if rule.startswith("sample_")) == rows
    assert counts["train"] == trained


def test_one_table_needs_no_other_table(jobs):
    counts = grouped(jobs("results/table_qm9.csv"))
    del counts["total"]
    expected = {**of_one_dataset(tables=1), "download_qm9": 1}
    assert counts == {
        kind: n for kind, n in expected.items() if kind not in ("table", "figure", "reconstruct", "interpolate")
    }


def test_training_seeds_multiply_trained_rows_only(jobs):
    counts = grouped(jobs("results/table_mini.csv", "--config", "train_seeds=[0,1]"))
    assert counts["train"] == 2 * TRAINED
    assert counts["sample"] == ROWS + (ROWS - 6)  # not the six controls that train nothing


def test_more_sampling_seeds_are_no_more_jobs(jobs):
    assert grouped(jobs("results/table_mini.csv", "--config", "sample_seeds=[0,1,2,3,4]"))["sample"] == ROWS


def test_shards_are_jobs_and_one_more_joins_them(jobs, snakemake):
    target = "results/table_energy_mini.csv", "--config"
    counts = grouped(jobs(*target, "energy={shards: 3}"))
    joined = sum(count for rule, count in counts.items() if rule.startswith("join_mini"))
    assert (counts["energy"], joined) == (3 * ROWS, ROWS)
    done = snakemake("-n", "-p", *target, "energy={shards: 3, relaxation: 50, dynamics: all}")
    text = done.stdout + done.stderr
    assert set(re.findall(r"--shard (\S+)", text)) == {"1/3", "2/3", "3/3"}
    assert text.count("--relaxation 50 --strain all --dynamics all --gfn2-dynamics 10") == 3 * ROWS
    assert text.count("--join 3") == ROWS
    alone = grouped(jobs(target[0]))
    assert alone["energy"] == ROWS and not [rule for rule in alone if rule.startswith("join")]


def test_variants_that_vary_sampling_use_the_weights_of_their_row(jobs, snakemake, tmp_path):
    sweep = "{datasets: [mini], rows: [edm], vary: {sampling.sampler: [ddpm, ddim], sampling.steps: [5, 20]}}"
    (tmp_path / "my.yaml").write_text(f"sweeps: {{cost: {sweep}}}\n")
    target = "results/fig_cost_mini.svg", "--configfile", "my.yaml"
    counts = grouped(jobs(*target))
    expected = {"prepare": 1, "reference": 1, "energy_reference": 1, "train": 1, "sample": 5, "score": 5}
    # Energies of the row itself alone.
    found = {kind: n for kind, n in counts.items() if kind not in ("total", "relax")}
    assert found == {**expected, "energy": 1, "figure": 1}
    done = snakemake("-n", "-p", *target)
    text = done.stdout + done.stderr
    assert text.count("--weights diffusion=results/mini/edm/train0/diffusion.safetensors") == 5
    assert '"sampler": "ddim", "steps": 5' in text
    assert "--posebusters 0 --energy-ratio 0 --no-fcd" in text
    drawn = json.loads(re.search(r"figure sweep .*--rows '(.*?)' --results", text).group(1))
    assert [row["name"] for row in drawn] == ["edm", "edm-ddpm-5", "edm-ddpm-20", "edm-ddim-5", "edm-ddim-20"]
    assert all(row["variants"] == ["raw"] and row["of"] == "edm" for row in drawn)
    assert drawn[0]["settings"] == {"sampling.sampler": "ddpm", "sampling.steps": 100}


def test_variants_that_vary_training_are_trained(jobs, snakemake, tmp_path):
    sweep = "{datasets: [mini], rows: [geoldm], vary: {sampling.steps: [5], autoencoder.latent: [2, 4]}}"
    (tmp_path / "my.yaml").write_text(f"sweeps: {{latent: {sweep}}}\n")
    target = "results/fig_latent_mini.svg", "--configfile", "my.yaml"
    counts = grouped(jobs(*target))
    assert (counts["train"], counts["reconstruct"], counts["sample"], counts["score"]) == (6, 3, 3, 3)
    done = snakemake("-n", "-p", *target)
    drawn = json.loads(re.search(r"figure sweep .*--rows '(.*?)' --results", done.stdout + done.stderr).group(1))
    assert all(list(row["settings"])[-1] == "autoencoder.latent" for row in drawn)  # the x-axis


def test_a_comparison_needs_its_own_rows_alone(jobs, snakemake, tmp_path):
    (tmp_path / "my.yaml").write_text("comparisons: {mine: [edm, gdm]}\n")
    target = "results/fig_mine_mini.svg", "--configfile", "my.yaml"
    counts = grouped(jobs(*target))
    assert (counts["train"], counts["sample"], counts["score"], counts["figure"]) == (2, 2, 2, 1)
    done = snakemake("-n", "-p", *target)
    drawn = json.loads(re.search(r"figure comparison .*--rows '(.*?)' --results", done.stdout + done.stderr).group(1))
    assert [row["name"] for row in drawn] == ["edm", "gdm"]
    # A dataset with one of the rows has nothing to compare.
    (tmp_path / "my.yaml").write_text("all: [mini]\ndatasets: {mini: {rows: [data_test, edm]}}\n")
    summary = snakemake("--summary", "--configfile", "my.yaml").stdout
    assert "fig_quality_mini.svg" in summary and "what_carries_it" not in summary


def test_stages_set_alike_are_trained_once(jobs, snakemake, tmp_path):
    fewer = "edm_50: {base: edm, overrides: {sampling: {steps: 50}}}"
    wider = "latent3d_wide: {base: latent3d, overrides: {diffusion_2d: {width: 64}}}"
    deeper = "latent3d_deep: {base: latent3d, overrides: {geometry: {layers: 3}}}"
    (tmp_path / "my.yaml").write_text(f"rows: {{{fewer}, {wider}, {deeper}}}\n")
    more = "--configfile", "my.yaml"
    # One stage of the second, and what needs the geometry of the third: itself, diffusion_3d and its guide.
    assert grouped(jobs("results/table_mini.csv", *more))["train"] == TRAINED + 0 + 1 + 3
    done = snakemake("-n", "-p", "results/table_cost_mini.csv", "results/table_autoencoder_mini.csv", *more)
    text = done.stdout + done.stderr
    assert text.count("--weights diffusion=results/mini/edm/train0/diffusion.safetensors") == 2
    assert "results/mini/edm_50/train0/diffusion" not in text
    assert "latent3d_deep/train0/reconstruction.json" in text and "latent3d_wide/train0/reconst" not in text
    shown = json.loads(re.search(r"table cost .*--rows '(.*?)' --results", text).group(1))
    stages = {row["name"]: row["stages"] for row in shown}
    assert stages["edm_50"] == {"diffusion": "edm"}
    assert stages["latent3d_wide"] == dict.fromkeys(stages["latent3d"], "latent3d") | {"diffusion_2d": "latent3d_wide"}


def test_released_weights_are_copied_and_rows_without_them_left_out(jobs, snakemake, tmp_path):
    target = "results/table_qm9_20k.csv", "--config", "weights=released"
    counts = grouped(jobs(*target))
    assert (counts["released"], counts["sample"]) == (6, 8) and "train" not in counts
    rows = "{qm9_20k: {rows: [data_test, latent3d, wide, edm, latent3d_etkdg]}}"
    wide = "{wide: {base: latent3d, overrides: {diffusion_2d: {width: 8}}}}"
    (tmp_path / "my.yaml").write_text(f"weights: released\ndatasets: {rows}\nrows: {wide}\n")
    assert grouped(jobs(target[0], "--configfile", "my.yaml"))["sample"] == 3
    done = snakemake(target[0], "--configfile", "my.yaml", "--cores", "1", "--until", "released")
    assert done.returncode == 0, done.stderr
    assert "qm9_20k: left out, since their weights were not released: wide, edm" in done.stderr
    of = tmp_path / "results/qm9_20k/latent3d/train0"
    there = ROOT / "resources/checkpoints/qm9_20k/latent3d"
    for file in ("topology.safetensors", "geometry.run.json", "diffusion_3d.log.csv"):
        assert (of / file).read_bytes() == (there / file).read_bytes()


def test_sampling_in_shards_is_more_jobs_for_rows_with_networks(jobs, snakemake):
    target = "results/table_mini.csv", "--config", "sample_shards=3"
    counts, alone = jobs(*target), jobs(target[0])
    networks = ROWS - 8  # six controls, and ETKDG on the graphs of latent3d and ldm3dg
    assert counts.pop("sample_shard") == 3 * networks
    assert counts.pop("total") == alone.pop("total") + 3 * networks
    assert counts == alone
    done = snakemake("-n", "-p", *target)
    text = done.stdout + done.stderr
    assert text.count("--shard 2/3") == networks
    assert len(re.findall(r"latent3d sample (?!.*--shard)", text)) == ROWS


def test_a_users_own_dataset(jobs, tmp_path):
    (tmp_path / "mine.sdf").touch()
    (tmp_path / "mine.yaml").write_text(
        "all: [mine]\ndatasets: {mine: {source: file, file: mine.sdf, split: [0.8, 0.1, 0.1]}}\n"
    )
    counts = grouped(jobs("--configfile", "mine.yaml"))
    del counts["total"]
    assert counts == {**of_one_dataset(), "report": 1, "all": 1}


def test_submissions_are_rows_with_one_job_per_file(jobs, snakemake, tmp_path):
    for name in ("a.sdf", "b.sdf"):
        (tmp_path / name).touch()
    (tmp_path / "my.yaml").write_text("submissions: {theirs: {file: [a.sdf, b.sdf], datasets: [mini]}}\n")
    target = "results/table_mini.csv", "--configfile", "my.yaml"
    with_submission, without = grouped(jobs(*target)), grouped(jobs(target[0]))
    more = {kind: count - without.get(kind, 0) for kind, count in with_submission.items()}
    expected = {"submission": 2, "energy": 1, "score": 1}
    assert {kind: n for kind, n in more.items() if n and kind != "total"} == expected
    # Not a row of other datasets, and after MMFF94 only if asked for.
    assert "submission" not in grouped(jobs("results/table_qm9.csv", *target[1:]))
    (tmp_path / "my.yaml").write_text(
        "submissions: {theirs: {file: a.sdf, datasets: [mini], geometries: [raw, mmff], published: {raw: edm}}}\n"
    )
    assert grouped(jobs(*target))["relax"] == without["relax"] + 1
    # Whatever seeds others are trained with.
    assert jobs(*target, "--config", "train_seeds=[3]")["submission"] == 1
    # What it cost is not known.
    done = snakemake("results/table_cost_mini.csv", *target[1:], "-n")
    assert "theirs" not in re.sub(r"--rows '.*'", "", done.stdout + done.stderr)


def test_every_command_is_one_that_the_package_has(snakemake):
    done = snakemake("-n", "-p", "all")
    called = set(re.findall(r"Shell command: latent3d (\S+)", done.stdout + done.stderr))
    expected = {"download", "prepare", "train", "reconstruct", "interpolate", "sample", "relax"}
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
        ("rows: {latent3d: {geometries: []}}", "at least 1 item"),
        ("rows: {a/b: {base: latent3d}}", "config key rows.a/b: use letters, digits"),
        (
            "datasets: {energy_mini: {source: mini}}",
            "cannot begin with energy_, or table_energy_mini.csv could be the energy table of 'mini'.",
        ),
        ("rows: {latent3d: {samples_of: latent3d_etkdg}}", "starts from the samples of another row itself."),
        ("sweeps: {steps: {rows: [emd]}}", "config key sweeps.steps.rows: there is no row 'emd'. Did you mean 'edm'?"),
        ("sweeps: {quality: {datasets: [], rows: [edm], vary: {sampling.steps: [5]}}}", "and none of quality, energy"),
        (
            "sweeps: {mine: {datasets: [], rows: [edm], vary: {sampling.steps: [5], sampling.sampler: [ddim]}}}",
            "the last setting, 'sampling.sampler', is the x-axis: give it numbers, or put it before.",
        ),
        ("sweeps: {steps: {vary: {stepz: [5]}}}", "'stepz' must have the form stage.hyper-parameter"),
        ("sweeps: {steps: {vary: {sampling.stepz: [5]}}}", "unknown hyper-parameter 'stepz'. Did you mean 'steps'?"),
        ("comparisons: {mine: [emd]}", "config key comparisons.mine: there is no row 'emd'. Did you mean 'edm'?"),
        ("comparisons: {steps: [edm]}", "config key comparisons.steps: use letters, digits and underscores, and none"),
        ("all: [mni]", "config key all: there is no dataset 'mni'. Did you mean 'mini'?"),
        ("rows: {latent3d: {base: latend3d}}", "There is no system 'latend3d'. Did you mean 'latent3d'?"),
        ("rows: {latent3d: {overrides: {topolgy: {steps: 5}}}}", "names the stage 'topolgy'. Did you mean 'topology'?"),
        (
            "rows: {latent3d: {overrides: {topology: {stepz: 5}}}}",
            "stage 'topology': unknown hyper-parameter 'stepz'. Did you mean 'steps'?",
        ),
        (
            "submissions: {theirs: {file: nowhere.sdf, datasets: [mini]}}",
            "config key submissions.theirs.file: nowhere.sdf does not exist.",
        ),
        (
            "submissions: {cloud: {file: Snakefile, datasets: [mini]}}",
            "config key submissions.cloud: there is a row of that name already.",
        ),
        (
            "submissions: {theirs: {fiel: a.sdf, datasets: [mini]}}",
            "unknown key 'submissions.theirs.fiel'. Did you mean 'file'?",
        ),
        (
            "submissions: {theirs: {file: [a.sdf, a.sdf], datasets: [mini]}}",
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


def test_rows_without_a_network_take_no_gpu(snakemake):
    done = snakemake("results/table_mini.csv", "--config", "device=cuda", "-n", "-p")
    text = done.stdout + done.stderr
    devices = re.findall(r"latent3d (?:sample --system|train) (\S+) .*--device (\S+)", text)
    networks = ["latent3d", "oneshot", "ldm3dg", "ldm3dg_corrected", "edm", "gdm", "geoldm", "graphldm"]
    assert set(devices) == {*((system, "cuda") for system in networks), ("controls", "cpu")}


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


def test_rows_keep_the_order_of_config_when_a_user_changes_one(snakemake, tmp_path):
    (tmp_path / "my.yaml").write_text("rows: {latent3d: {overrides: {diffusion_2d: {steps: 7}}}}\n")
    done = snakemake("results/table_mini.csv", "--configfile", "my.yaml", "-n", "-p")
    command = re.search(r"--rows '(.*?)'", done.stdout + done.stderr).group(1)
    shipped = yaml.safe_load((ROOT / "config.yaml").read_text())["rows"]
    assert [row["name"] for row in json.loads(command)] == list(shipped)


POINT_MODELS = ["edm", "gdm", "gdm_aug", "geoldm", "graphldm", "graphldm_aug"]


LDM3DG = [{"raw": "ldm3dg_no_mmff", "mmff": "ldm3dg"}, {"mmff": "etkdg_mmff"}]


@pytest.mark.parametrize(
    ("dataset", "beside"), [("qm9", [*({"raw": row} for row in ("data", *POINT_MODELS)), *LDM3DG]), ("mini", [])]
)
def test_published_numbers_stand_beside_rows_on_qm9_alone(snakemake, dataset, beside):
    done = snakemake("-n", "-p", f"results/table_{dataset}.csv")
    command = next(line for line in done.stdout.splitlines() if "latent3d table quality" in line)
    rows = json.loads(re.search(r"--rows '(.*?)' --results", command).group(1))
    assert [row["published"] for row in rows if row["published"]] == beside
