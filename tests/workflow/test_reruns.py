"""What a change makes again: that stage and what follows, nothing else."""


def steps_of(stage):
    """A configuration with other steps of a stage in both rows that have it."""
    changed = f"{{overrides: {{{stage}: {{steps: 7}}}}}}"
    return f"rows: {{latent3d: {changed}, latent3d_unguided: {changed}}}\n"


def test_nothing_when_nothing_changed(finished_run):
    assert finished_run("") == {}


def test_device_changes_nothing(finished_run):
    assert finished_run("device: cpu\n") == {}


def test_a_hyperparameter_of_the_last_stage(finished_run):
    counts = finished_run(steps_of("diffusion_3d"))
    assert counts["train"] == 1
    assert counts["sample"] == 3  # latent3d, latent3d_unguided, and ETKDG on the graphs of the first
    assert counts["score"] == 5  # raw and after MMFF94, but latent3d_unguided has no others
    assert counts["table"] == 3  # distribution, energy and cost
    assert not {"prepare", "reference", "energy_reference", "reconstruct"} & set(counts)


def test_a_hyperparameter_of_an_autoencoder(finished_run):
    counts = finished_run(steps_of("geometry"))
    assert (counts["train"], counts["reconstruct"], counts["table"]) == (3, 1, 4)  # geometry, diffusion_3d, guide_3d
    assert counts["sample"] == 3


def test_a_sampling_hyperparameter_trains_nothing(finished_run):
    counts = finished_run("rows: {latent3d: {overrides: {sampling: {steps: 7}}}}\n")
    assert counts["sample"] == 2
    assert not {"train", "reconstruct"} & set(counts)


def test_a_new_row_makes_its_own_samples_alone(finished_run):
    counts = finished_run("rows: {noise_0.5: {base: controls, variants: [raw]}}\n")
    assert (counts["sample"], counts["score"]) == (1, 1)
    assert "train" not in counts
