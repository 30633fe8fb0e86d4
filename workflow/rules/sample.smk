"""Sampling, submissions and relaxation. One job covers all sampling seeds of a row and training seed (see `groups`)."""

for LABEL, DATASET, GEOMETRIES, SEEDS, NAMES, _ in groups():

    rule:
        name:
            f"sample_{LABEL}"
        input:
            data="results/{dataset}/dataset.parquet",
            weights=lambda wildcards: weights(wildcards, SYSTEMS[wildcards.row].stages),
            source=source_samples,
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
            system=lambda wildcards: ROWS[wildcards.row].base,
            weights=lambda wildcards, input: [f"--weights {weight}" for weight in named(input.weights)],
            hyperparameters=lambda wildcards: settings_of(wildcards, "sampling"),
            requested=for_dataset(CONFIGURATION, DATASET, "sample_count"),
            seeds=[f"--seed {seed}" for seed in SEEDS],
            source=source_option,
            folder=lambda wildcards: f"results/{wildcards.dataset}/{wildcards.row}/train{wildcards.train_seed}",
        message:
            "{wildcards.dataset}: sampling {wildcards.row} (training seed {wildcards.train_seed})"
        shell:
            "latent3d sample {params.system} --data {input.data:q} {params.weights}"
            " --hyperparameters {params.hyperparameters:q} --count {params.requested} {params.seeds} {params.source}"
            " --checkpoints checkpoints --device {resources.device} --out {params.folder:q} 2>&1 | tee -i {log:q}"

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
