"""Training: one rule for every stage of every system, and what its autoencoder is worth."""

if CONFIGURATION.weights == "train":

    rule train:
        """Unfinished work is in checkpoints/, named by the configuration hash: not an output, since those of failed jobs
        are deleted."""
        input:
            data="results/{dataset}/dataset.parquet",
            needs=lambda wildcards: weights(wildcards, SYSTEMS[wildcards.row].stages[wildcards.stage]),
        output:
            weights="results/{dataset}/{row}/train{train_seed}/{stage}.safetensors",
            run="results/{dataset}/{row}/train{train_seed}/{stage}.run.json",
            curve="results/{dataset}/{row}/train{train_seed}/{stage}.log.csv",
        log:
            "logs/{dataset}/{row}/train{train_seed}/{stage}.log",
        priority: 10
        conda:
            "../../envs/train.yaml"
        # On a CPU: stages that need no other train side by side, one core each; the others come alone and take more.
        threads: lambda wildcards: 4 if SYSTEMS[wildcards.row].stages[wildcards.stage] else 1
        resources:
            gpu=gpus,
            device=device,
        params:
            system=lambda wildcards: ROWS[wildcards.row].base,
            needs=lambda wildcards, input: [f"--needs {need}" for need in named(input.needs)],
            hyperparameters=lambda wildcards: settings_of(wildcards, wildcards.stage),
            precision=CONFIGURATION.precision,
        message:
            "{wildcards.dataset}: training {wildcards.row}, stage {wildcards.stage}, seed {wildcards.train_seed}"
        shell:
            "latent3d train {params.system} {wildcards.stage} --data {input.data:q} {params.needs}"
            " --hyperparameters {params.hyperparameters:q} --seed {wildcards.train_seed} --out {output.weights:q}"
            " --checkpoints checkpoints --device {resources.device} --precision {params.precision} 2>&1 | tee -i {log:q}"

else:

    localrules:
        released,

    rule released:
        """Weights that were trained before, with what their training cost."""
        input:
            lambda wildcards: [
                released_file(wildcards.dataset, wildcards.row, wildcards.stage, ending)
                for ending in (".safetensors", ".run.json", ".log.csv")
            ],
        output:
            "results/{dataset}/{row}/train{train_seed}/{stage}.safetensors",
            "results/{dataset}/{row}/train{train_seed}/{stage}.run.json",
            "results/{dataset}/{row}/train{train_seed}/{stage}.log.csv",
        log:
            "logs/{dataset}/{row}/train{train_seed}/{stage}.log",
        conda:
            "../../envs/base.yaml"
        message:
            "{wildcards.dataset}: released weights of {wildcards.row}, stage {wildcards.stage}"
        shell:
            "cp --verbose {input:q} $(dirname {output[0]:q}) > {log:q}"


rule reconstruct:
    """Needs the stages that encode and decode, so it runs beside the training of what generates codes."""
    input:
        data="results/{dataset}/dataset.parquet",
        weights=lambda wildcards: weights(wildcards, SYSTEMS[wildcards.row].uses.encode),
    output:
        "results/{dataset}/{row}/train{train_seed}/reconstruction.json",
    log:
        "logs/{dataset}/{row}/train{train_seed}/reconstruct.log",
    conda:
        "../../envs/train.yaml"
    resources:
        gpu=gpus,
        device=device,
    params:
        system=lambda wildcards: ROWS[wildcards.row].base,
        weights=lambda wildcards, input: [f"--weights {weight}" for weight in named(input.weights)],
    message:
        "{wildcards.dataset}: reconstructing test molecules with {wildcards.row}, seed {wildcards.train_seed}"
    shell:
        "latent3d reconstruct {params.system} --data {input.data:q} {params.weights}"
        " --device {resources.device} --out {output:q}"
        " 2>&1 | tee -i {log:q}"


rule interpolate:
    input:
        data="results/{dataset}/dataset.parquet",
        weights=lambda wildcards: weights(wildcards, SYSTEMS[wildcards.row].uses.interpolate),
    output:
        "results/{dataset}/{row}/train{train_seed}/interpolation.parquet",
    log:
        "logs/{dataset}/{row}/train{train_seed}/interpolate.log",
    conda:
        "../../envs/train.yaml"
    resources:
        gpu=gpus,
        device=device,
    params:
        system=lambda wildcards: ROWS[wildcards.row].base,
        weights=lambda wildcards, input: [f"--weights {weight}" for weight in named(input.weights)],
    message:
        "{wildcards.dataset}: paths between codes of {wildcards.row}, seed {wildcards.train_seed}"
    shell:
        "latent3d interpolate {params.system} --data {input.data:q} {params.weights}"
        " --device {resources.device} --out {output:q}"
        " 2>&1 | tee -i {log:q}"
