"""What a configuration comes to: rows, seeds, who trains what, which files tables and figures are made of."""

from pathlib import Path

import pytest
import yaml

from latent3d.base.errors import UserError
from latent3d.plan.plan import as_json

ROOT = Path(__file__).parents[2]
LATENT3D = ["topology", "geometry", "diffusion_2d", "diffusion_3d", "guide_2d", "guide_3d"]


def trained(plan, benchmark, ending=".safetensors"):
    """(row, stage) of everything that is trained for a benchmark."""
    files = [Path(file) for file in plan.stage_files(benchmark, ending)]
    return [(file.parent.parent.name, file.name.removesuffix(ending)) for file in files]


def test_every_row_has_its_samples_and_every_stage_one_owner(planned):
    plan = planned().plan
    for benchmark in ("mini", "qm9"):
        rows = plan.rows_of(benchmark)
        raw = plan.sample_files(benchmark, rows, "samples.parquet", ["raw"])
        assert raw == [f"results/{benchmark}/{row}/train0/raw/samples.parquet" for row in rows]
        relaxed = plan.sample_files(benchmark, rows, "samples.parquet", ["mmff"])
        assert len(relaxed) == sum("mmff" in plan.variants(benchmark, row) for row in rows)
        stages = trained(plan, benchmark)
        assert len(stages) == len(set(stages))
        # Two stages that are trained apart differ in what they are of, or in settings, or in what they need.
        told = {
            as_json(
                [plan.trained_base(row), stage, plan.settings(benchmark, row, stage), plan.owners_of(benchmark, row)]
            )
            for row, stage in stages
        }
        assert len(told) == len(stages)


def test_controls_come_with_the_task_and_stand_first(planned):
    plan = planned().plan
    controls = ["data_test", "data_train", "noise_0.1", "noise_0.3", "cloud", "data_etkdg"]
    assert plan.rows_of("qm9")[: len(controls)] == controls
    shipped = list(yaml.safe_load((ROOT / "config.yaml").read_text())["rows"])
    assert plan.rows_of("qm9")[len(controls) :] == shipped
    # A user's change of one setting keeps the others, and the order.
    changed = planned("rows: {noise_0.1: {overrides: {sampling: {noise: 0.2}}}, latent3d: {variants: [raw]}}").plan
    assert changed.rows["noise_0.1"].overrides == {"sampling": {"kind": "noise", "noise": 0.2}}
    assert changed.variants("qm9", "noise_0.1") == ["raw"] == changed.variants("qm9", "latent3d")
    assert changed.names == plan.names


@pytest.mark.parametrize(
    ("name", "rows", "stages"),
    [
        # latent3d 6 stages, z_2d_4 and beta_0.1 all but geometry, z_3d_2 and springs_8 all but those of z_2d,
        # half_width all, eps, no_ema and transformer their two diffusions.
        ("ablations", 16, 6 + 2 * 5 + 2 * 3 + 6 + 3 * 2),
        # latent3d and its self-supervised variant 6 each, oneshot 2, ldm3dg 3, prior 2, corrected 3, 4 self-supervised
        # variants 3 each; single corrections the diffusion.
        ("ldm3dg", 18, 2 * 6 + 2 + 3 + 2 + 3 + 4 * 3 + 3),
    ],
)
def test_studies_train_shared_stages_once(planned, name, rows, stages):
    plan = planned(ROOT / "config" / f"{name}.yaml").plan
    (benchmark,) = plan.configuration.all
    assert len(plan.rows_of(benchmark)) == rows
    assert len(trained(plan, benchmark)) == stages


def test_training_seeds_multiply_trained_rows_only(planned):
    plan = planned("train_seeds: [0, 1]").plan
    assert {row for row in plan.rows_of("mini") if plan.train_seeds("mini", row) == [0]} == {
        *("data_test", "data_train", "noise_0.1", "noise_0.3", "cloud", "data_etkdg")
    }
    assert plan.train_seeds("mini", "latent3d_etkdg") == [0, 1]  # on graphs of what is trained
    assert len(plan.stage_files("mini", ".run.json")) == 2 * len(planned().plan.stage_files("mini", ".run.json"))


def test_sampling_seeds_are_columns_not_files(planned):
    few, many = planned().plan, planned("sample_seeds: [0, 1, 2, 3, 4]").plan
    rows = few.rows_of("mini")
    assert many.sample_seeds("mini", "edm") == [0, 1, 2, 3, 4]
    assert many.sample_files("mini", rows, "ledger.csv") == few.sample_files("mini", rows, "ledger.csv")


def test_stages_set_alike_are_trained_once(planned):
    targets = planned(
        """rows:
             edm_50: {base: edm, overrides: {sampling: {steps: 50}}}
             latent3d_wide: {base: latent3d, overrides: {diffusion_2d: {width: 64}}}
             latent3d_deep: {base: latent3d, overrides: {geometry: {layers: 3}}}
        """
    )
    plan = targets.plan
    new = set(trained(plan, "mini")) - set(trained(planned().plan, "mini"))
    deep = {("latent3d_deep", stage) for stage in ("geometry", "diffusion_3d", "guide_3d")}
    assert new == {("latent3d_wide", "diffusion_2d"), *deep}
    stages = {row.name: row.stages for row in targets.rows("mini")}
    assert stages["edm_50"] == {"diffusion": "edm"}
    assert stages["latent3d_wide"] == dict.fromkeys(LATENT3D, "latent3d") | {"diffusion_2d": "latent3d_wide"}
    # What is shared is reconstructed once, too.
    assert "latent3d_deep" in plan.encoding_rows("mini") and "latent3d_wide" not in plan.encoding_rows("mini")
    weights = plan.weights("mini", "latent3d_wide", 0, ["topology", "diffusion_2d"])
    assert weights == [
        "results/mini/latent3d/train0/topology.safetensors",
        "results/mini/latent3d_wide/train0/diffusion_2d.safetensors",
    ]


def test_variants_that_vary_sampling_use_the_weights_of_their_row(planned):
    vary = "{sampling.sampler: [ddpm, ddim], sampling.steps: [5, 20]}"
    targets = planned(f"sweeps: {{cost: {{benchmarks: [mini], rows: [edm], vary: {vary}}}}}")
    plan, rows = targets.plan, targets.figure_rows("mini", "cost")
    assert [row.name for row in rows] == ["edm", "edm-ddpm-5", "edm-ddpm-20", "edm-ddim-5", "edm-ddim-20"]
    assert all(row.variants == ["raw"] and row.of == "edm" and row.stages == {"diffusion": "edm"} for row in rows)
    assert rows[0].settings == {"sampling.sampler": "ddpm", "sampling.steps": 100}
    assert plan.settings("mini", "edm-ddim-5", "sampling") == {
        **plan.settings("mini", "edm", "sampling"),
        **{"sampler": "ddim", "steps": 5},
    }
    # No PoseBusters, no FCD, no energies of variants.
    assert plan.metric_options("edm-ddim-5") == "--posebusters 0 --energy-ratio 0 --no-fcd"
    assert plan.has_energies("edm") and not plan.has_energies("edm-ddim-5")
    assert targets.figure_inputs("mini", "cost") == [
        f"results/mini/{row.name}/train0/raw/measures.parquet" for row in rows
    ]


def test_variants_that_vary_training_are_trained_and_reconstructed(planned):
    vary = "{sampling.steps: [5], autoencoder.latent: [2, 4]}"
    targets = planned(f"sweeps: {{latent: {{benchmarks: [mini], rows: [geoldm], vary: {vary}}}}}")
    rows = targets.figure_rows("mini", "latent")
    assert [list(row.settings)[-1] for row in rows] == ["autoencoder.latent"] * 3  # the x-axis
    assert [row.stages["autoencoder"] for row in rows] == ["geoldm", "geoldm-5-2", "geoldm-5-4"]
    files = targets.figure_inputs("mini", "latent")
    assert [file for file in files if file.endswith("reconstruction.json")] == [
        f"results/mini/{row.name}/train0/reconstruction.json" for row in rows
    ]


def test_a_comparison_shows_its_own_rows_alone(planned):
    targets = planned("comparisons: {mine: [edm, gdm]}")
    assert [row.name for row in targets.figure_rows("mini", "mine")] == ["edm", "gdm"]
    assert targets.figure("mini", "mine").name == "comparison"
    # A dataset with one of the rows has nothing to compare.
    files = planned("datasets: {mini: {rows: [data_test, edm]}}").files("mini")
    assert "results/fig_quality_mini.svg" in files
    assert not [file for file in files if "what_carries_it" in file]


def test_nothing_is_made_of_nothing(planned):
    files = planned("datasets: {mini: {rows: [data_test, cloud]}}").files("mini")
    names = {Path(file).stem for file in files}
    assert {"table_mini", "table_energy_mini", "fig_quality_mini", "table_cost_mini"} <= names
    assert not names & {
        "table_autoencoder_mini",
        "fig_training_mini",
        "fig_cost_quality_mini",
        "fig_interpolation_mini",
    }


def test_rows_without_released_weights_are_left_out(planned):
    rows = "{qm9_20k: {rows: [data_test, latent3d, wide, edm, latent3d_etkdg]}}"
    wide = "{wide: {base: latent3d, overrides: {diffusion_2d: {width: 8}}}}"
    plan = planned(f"{{weights: released, datasets: {rows}, rows: {wide}}}").plan
    assert plan.rows_of("qm9_20k") == ["data_test", "latent3d", "latent3d_etkdg"]
    assert plan.left_out("qm9_20k") == ["wide", "edm"]
    assert plan.cost([("sample", {"benchmark": "qm9_20k"})])[0] == (
        "qm9_20k: left out, since their weights were not released: wide, edm"
    )
    assert plan.train_seeds("qm9_20k", "latent3d") == [0]


POINT_MODELS = ["edm", "gdm", "gdm_aug", "geoldm", "graphldm", "graphldm_aug"]
LDM3DG = [{"raw": "ldm3dg_no_mmff", "mmff": "ldm3dg"}, {"mmff": "etkdg_mmff"}]


@pytest.mark.parametrize(
    ("benchmark", "beside"), [("qm9", [*({"raw": row} for row in ("data", *POINT_MODELS)), *LDM3DG]), ("mini", [])]
)
def test_published_numbers_stand_beside_rows_on_qm9_alone(planned, benchmark, beside):
    assert [row.published for row in planned().rows(benchmark) if row.published] == beside


def test_submissions_are_rows_of_their_benchmarks_alone(planned, tmp_path):
    for name in ("a.sdf", "b.sdf"):
        (tmp_path / name).touch()
    targets = planned("submissions: {theirs: {file: [a.sdf, b.sdf], benchmarks: [mini]}}\ntrain_seeds: [3]")
    plan = targets.plan
    assert plan.rows_of("mini")[-1] == "theirs" and "theirs" not in plan.rows_of("qm9")
    assert plan.sample_seeds("mini", "theirs") == [0, 1] and plan.variants("mini", "theirs") == ["raw"]
    assert plan.train_seeds("mini", "theirs") == [0]  # whatever seeds others are trained with
    # What it cost is not known.
    assert not [file for file in targets.table_inputs("mini", "cost") if "theirs" in file]
    relaxed = "submissions: {theirs: {file: a.sdf, benchmarks: [mini], variants: [raw, mmff], published: {raw: edm}}}"
    assert planned(relaxed).plan.variants("mini", "theirs") == ["raw", "mmff"]


def test_controls_have_no_network_to_put_on_a_gpu(planned):
    plan = planned("device: cuda").plan
    assert {plan.device(row) for row in plan.rows_of("mini") if plan.system(row).stages} == {"cuda"}
    assert {plan.device(row) for row in plan.rows_of("mini") if not plan.system(row).stages} == {"cpu"}


def test_shards_are_for_rows_with_networks(planned):
    plan = planned("sample_shards: 3").plan
    assert list(plan.sample_shards("edm")) == [1, 2, 3] and not plan.sample_shards("cloud")
    assert not planned().plan.sample_shards("edm")


def test_cost_counts_training_steps(planned):
    plan = planned("rows: {edm: {overrides: {diffusion: {steps: 1200}}}}").plan
    job = {"dataset": "mini", "row": "edm", "stage": "diffusion", "train_seed": "0"}
    assert plan.cost([("train", job), ("prepare", {"dataset": "mini"}), ("report", {})]) == [
        "mini: 2 jobs, 1,200 training steps to do",
        "all: 1 jobs to do",
    ]


def test_a_benchmark_is_a_task_on_a_dataset(planned):
    plan = planned(
        "benchmarks: {again: {task: unconditional, dataset: mini, sample_count: 7, rows: [data_test, edm]}}"
    ).plan
    again = plan.benchmarks["again"]
    assert (again.dataset, again.preset, again.sample_count) == ("mini", "cpu", 7)
    # Samples are its own, what is trained is the dataset's.
    files = plan.sample_files("again", ["edm"], "samples.parquet", ["raw"])
    assert files == ["results/again/edm/train0/raw/samples.parquet"]
    assert plan.stage_files("again", ".safetensors") == ["results/mini/edm/train0/diffusion.safetensors"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("benchmarks: {mini: {task: unconditional, dataset: mini}}", "a dataset of that name is a benchmark by itself"),
        ("benchmarks: {more: {task: unconditoinal, dataset: mini}}", "there is no task 'unconditoinal'. Did you mean"),
        ("benchmarks: {more: {task: unconditional, dataset: mni}}", "there is no dataset 'mni'. Did you mean 'mini'?"),
        ("benchmarks: {energy_mini: {task: unconditional, dataset: mini}}", "cannot begin with energy_"),
        ("benchmarks: {more: {task: unconditional, dataset: mini, rows: [emd]}}", "there is no row 'emd'"),
        ("rows: {latent3d: {varaints: [raw]}}", "unknown key 'rows.latent3d.varaints'. Did you mean 'variants'?"),
    ],
)
def test_mistakes_of_benchmarks_are_named(planned, text, sentence):
    with pytest.raises(UserError) as error:
        planned(text)
    assert sentence in str(error.value)
