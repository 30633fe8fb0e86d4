"""What is asked, samples, submissions and relaxation. A file holds all sampling seeds of a row and training seed."""

SAMPLE = (
    "latent3d sample --system {params.system} --requests {input.requests:q} --data {input.data:q} {params.weights}"
    " --hyperparameters {params.hyperparameters:q} {params.source}"
    " --checkpoints checkpoints --device {resources.device}"
)
SAMPLED = f"sampled.{{shard}}-of-{PLAN.configuration.sample_shards}"


localrules:
    requests,


rule requests:
    input:
        data_of,
    output:
        LAYOUT.requests("{benchmark}"),
    log:
        "logs/{benchmark}/requests.log",
    conda:
        "../../envs/base.yaml"
    params:
        task=lambda wildcards: PLAN.benchmarks[wildcards.benchmark].task,
        settings=lambda wildcards: as_json(PLAN.benchmarks[wildcards.benchmark].settings),
        requested=lambda wildcards: PLAN.benchmarks[wildcards.benchmark].sample_count,
        seeds=lambda wildcards: options("--seed", PLAN.benchmarks[wildcards.benchmark].sample_seeds),
    message:
        "{wildcards.benchmark}: what is asked of every row"
    shell:
        "latent3d requests {params.task} --data {input:q} --settings {params.settings:q} --count {params.requested}"
        " {params.seeds} --out {output:q} 2>&1 | tee -i {log:q}"


# What every job that samples is told.
SAMPLING = {
    "system": lambda wildcards: PLAN.rows[wildcards.row].base,
    "weights": lambda wildcards, input: options("--weights", named(input.weights)),
    "hyperparameters": lambda w: as_json(PLAN.settings(dataset_of(w), w.row, "sampling")),
    "source": lambda wildcards, input: options("--source", input.source),
}


rule sample_shard:
    """A part of a row's samples: finished chunks in checkpoints/, which the row's own job puts together."""
    input:
        data=data_of,
        requests=LAYOUT.requests("{benchmark}"),
        weights=generating_weights,
        source=[],
    output:
        temp(touch(of_samples(SAMPLED, "raw"))),
    log:
        "logs/{benchmark}/{row}/train{train_seed}/sample.{shard}.log",
    conda:
        "../../envs/train.yaml"
    resources:
        gpu=gpus,
        device=device,
    params:
        **SAMPLING,
        shards=PLAN.configuration.sample_shards,
    message:
        "{wildcards.benchmark}: sampling {wildcards.row} (training seed {wildcards.train_seed}), shard {wildcards.shard}"
    shell:
        f"{SAMPLE} --shard {{wildcards.shard}}/{{params.shards}} --out {{output}}.parquet 2>&1 | tee -i {{log:q}}"


rule sample:
    """Draws what is missing: chunks that were finished before, under other seeds or in shards, stay in checkpoints/."""
    input:
        data=data_of,
        requests=LAYOUT.requests("{benchmark}"),
        weights=generating_weights,
        source=lambda w: PLAN.source_samples(w.benchmark, w.row, w.train_seed),
        shards=lambda w: [of_samples(SAMPLED, "raw").format(**w, shard=shard) for shard in PLAN.sample_shards(w.row)],
    output:
        samples=of_samples(SAMPLES, "raw"),
        run=of_samples(RUN, "raw"),
    log:
        "logs/{benchmark}/{row}/train{train_seed}/sample.log",
    wildcard_constraints:
        row=alternatives(PLAN.rows),
    conda:
        "../../envs/train.yaml"
    resources:
        gpu=gpus,
        device=device,
    params:
        **SAMPLING,
    message:
        "{wildcards.benchmark}: sampling {wildcards.row} (training seed {wildcards.train_seed})"
    shell:
        f"{SAMPLE} --out {{output.samples:q}} 2>&1 | tee -i {{log:q}}"


rule submission:
    """Molecules that another program made, one file per sampling seed."""
    input:
        lambda wildcards: PLAN.submissions[wildcards.row].file,
    output:
        of_samples(SAMPLES, "raw"),
    log:
        "logs/{benchmark}/{row}/train{train_seed}/submission.log",
    wildcard_constraints:
        row=alternatives(PLAN.submissions),
    conda:
        "../../envs/base.yaml"
    message:
        "{wildcards.benchmark}: reading the submission {wildcards.row}"
    shell:
        "latent3d submission {input:q} --out {output:q} 2>&1 | tee -i {log:q}"


rule relax:
    input:
        of_samples(SAMPLES, "raw"),
    output:
        of_samples(SAMPLES, "mmff"),
        of_samples(RUN, "mmff"),
    log:
        "logs/{benchmark}/{row}/train{train_seed}/relax.log",
    conda:
        "../../envs/base.yaml"
    message:
        "{wildcards.benchmark}: relaxing {wildcards.row} with MMFF94 (training seed {wildcards.train_seed})"
    shell:
        "latent3d relax {input:q} 2>&1 | tee -i {log:q}"
