"""Sampling, submissions and relaxation. One job covers all sampling seeds of a row and training seed (see `groups`)."""

SAMPLE_SHARDS = CONFIGURATION.sample_shards
SAMPLE = (
    "latent3d sample --system {params.system} --data {input.data:q} {params.weights}"
    " --hyperparameters {params.hyperparameters:q} --count {params.requested} {params.seeds} {params.source}"
    " --checkpoints checkpoints --device {resources.device} --out {params.folder:q}"
)


rule sample_shard:
    """A part of a row's samples of all seeds: finished chunks in checkpoints/, which the row's own job puts together."""
    input:
        data="results/{dataset}/dataset.parquet",
        weights=lambda wildcards: weights(wildcards, SYSTEMS[wildcards.row].uses.generate),
    output:
        temp(touch(f"results/{{dataset}}/{{row}}/train{{train_seed}}/sampled.{{shard}}-of-{SAMPLE_SHARDS}")),
    log:
        "logs/{dataset}/{row}/train{train_seed}/sample.{shard}.log",
    wildcard_constraints:
        shard="[0-9]+",
    conda:
        "../../envs/train.yaml"
    resources:
        gpu=gpus,
        device=device,
    params:
        **SAMPLING,
        source="",
        shards=SAMPLE_SHARDS,
    message:
        "{wildcards.dataset}: sampling {wildcards.row} (training seed {wildcards.train_seed}), shard {wildcards.shard}"
    shell:
        f"{SAMPLE} --shard {{wildcards.shard}}/{{params.shards}} 2>&1 | tee -i {{log:q}}"


for LABEL, DATASET, GEOMETRIES, SEEDS, NAMES, _ in groups():

    rule:
        name:
            f"sample_{LABEL}"
        input:
            data="results/{dataset}/dataset.parquet",
            weights=lambda wildcards: weights(wildcards, SYSTEMS[wildcards.row].uses.generate),
            source=source_samples,
            shards=sample_shards,
        output:
            of_samples(["raw"], SEEDS, "samples.parquet"),
            of_samples(["raw"], SEEDS, "run.json"),
        log:
            "logs/{dataset}/{row}/train{train_seed}/sample.log",
        wildcard_constraints:
            dataset=DATASET,
            row=alternatives(set(NAMES) - set(SUBMISSIONS)),
        conda:
            "../../envs/train.yaml"
        resources:
            gpu=gpus,
            device=device,
        params:
            **SAMPLING,
            source=source_option,
        message:
            "{wildcards.dataset}: sampling {wildcards.row} (training seed {wildcards.train_seed})"
        shell:
            f"{SAMPLE} 2>&1 | tee -i {{log:q}}"

    if "mmff" in GEOMETRIES:

        rule:
            name:
                f"relax_{LABEL}"
            input:
                of_samples(["raw"], SEEDS, "samples.parquet"),
            output:
                of_samples(["mmff"], SEEDS, "samples.parquet"),
                of_samples(["mmff"], SEEDS, "run.json"),
            log:
                "logs/{dataset}/{row}/train{train_seed}/relax.log",
            wildcard_constraints:
                dataset=DATASET,
                row=alternatives(NAMES),
            conda:
                "../../envs/base.yaml"
            message:
                "{wildcards.dataset}: relaxing {wildcards.row} with MMFF94 (training seed {wildcards.train_seed})"
            shell:
                "latent3d relax {input:q} 2>&1 | tee -i {log:q}"


rule submission:
    """One file of molecules that another program made, as a set of samples."""
    input:
        lambda wildcards: SUBMISSIONS[wildcards.row].file[int(wildcards.sample_seed)],
    output:
        "results/{dataset}/{row}/train0/sample{sample_seed}/raw/samples.parquet",
    log:
        "logs/{dataset}/{row}/train0/submission{sample_seed}.log",
    wildcard_constraints:
        row=alternatives(SUBMISSIONS),
        sample_seed="[0-9]+",
    conda:
        "../../envs/base.yaml"
    message:
        "{wildcards.dataset}: reading the submission {wildcards.row}"
    shell:
        "latent3d submission {input:q} --seed {wildcards.sample_seed} --out {output:q} 2>&1 | tee -i {log:q}"
