"""Sampling and relaxation. One job covers all sampling seeds of a row and training seed (see `groups`)."""

for DATASET in CONFIGURATION.datasets:

    rule:
        name:
            f"sample_{DATASET}"
        input:
            data="results/{dataset}/dataset.parquet",
            weights=lambda wildcards: weights(wildcards, SYSTEMS[wildcards.row].stages),
            source=source_samples,
        output:
            of_samples(DATASET, ["raw"], "samples.parquet"),
            of_samples(DATASET, ["raw"], "run.json"),
        log:
            "logs/{dataset}/{row}/train{train_seed}/sample.log",
        wildcard_constraints:
            dataset=DATASET,
        conda:
            "../../envs/train.yaml"
        resources:
            gpu=gpus,
            device=device,
        params:
            system=lambda wildcards: CONFIGURATION.rows[wildcards.row].base,
            weights=lambda wildcards, input: [f"--weights {weight}" for weight in named(input.weights)],
            hyperparameters=lambda wildcards: settings_of(wildcards, "sampling"),
            requested=for_dataset(CONFIGURATION, DATASET, "sample_count"),
            seeds=[f"--seed {seed}" for seed in sample_seeds(DATASET)],
            source=source_option,
            folder=lambda wildcards: f"results/{wildcards.dataset}/{wildcards.row}/train{wildcards.train_seed}",
        message:
            "{wildcards.dataset}: sampling {wildcards.row} (training seed {wildcards.train_seed})"
        shell:
            "latent3d sample {params.system} --data {input.data:q} {params.weights}"
            " --hyperparameters {params.hyperparameters:q} --count {params.requested} {params.seeds} {params.source}"
            " --checkpoints checkpoints --device {resources.device} --out {params.folder:q} 2>&1 | tee -i {log:q}"

    rule:
        name:
            f"relax_{DATASET}"
        input:
            of_samples(DATASET, ["raw"], "samples.parquet"),
        output:
            of_samples(DATASET, ["mmff"], "samples.parquet"),
            of_samples(DATASET, ["mmff"], "run.json"),
        log:
            "logs/{dataset}/{row}/train{train_seed}/relax.log",
        wildcard_constraints:
            dataset=DATASET,
        conda:
            "../../envs/base.yaml"
        message:
            "{wildcards.dataset}: relaxing {wildcards.row} with MMFF94 (training seed {wildcards.train_seed})"
        shell:
            "latent3d relax {input:q} 2>&1 | tee -i {log:q}"
