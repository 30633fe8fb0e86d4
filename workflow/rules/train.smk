"""Training: one rule for every stage of every system and judge, and what its autoencoder is worth."""

if PLAN.configuration.weights == "train":

    rule train:
        """Unfinished work is in checkpoints/, named by the configuration hash: not an output, since those of failed jobs
        are deleted."""
        input:
            data=LAYOUT.dataset("{dataset}"),
            needs=lambda w: PLAN.weights(w.dataset, w.row, w.train_seed, PLAN.trained_system(w.row).stages[w.stage]),
        output:
            weights=trained("{stage}.safetensors"),
            run=trained("{stage}.run.json"),
            curve=trained("{stage}.log.csv"),
        log:
            "logs/{dataset}/{row}/train{train_seed}/{stage}.log",
        priority: 10
        conda:
            "../../envs/train.yaml"
        # On a CPU: stages that need no other train side by side, one core each; the others come alone and take more.
        threads: lambda wildcards: 4 if PLAN.trained_system(wildcards.row).stages[wildcards.stage] else 1
        resources:
            gpu=gpus,
            device=device,
        params:
            system=lambda wildcards: PLAN.trained_base(wildcards.row),
            needs=lambda wildcards, input: options("--needs", named(input.needs)),
            hyperparameters=lambda w: as_json(PLAN.settings(w.dataset, w.row, w.stage)),
            precision=PLAN.configuration.precision,
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
            lambda w: [
                PLAN.released_file(w.dataset, w.row, w.stage, ending)
                for ending in (".safetensors", ".run.json", ".log.csv")
            ],
        output:
            trained("{stage}.safetensors"),
            trained("{stage}.run.json"),
            trained("{stage}.log.csv"),
        log:
            "logs/{dataset}/{row}/train{train_seed}/{stage}.log",
        conda:
            "../../envs/base.yaml"
        message:
            "{wildcards.dataset}: released weights of {wildcards.row}, stage {wildcards.stage}"
        shell:
            "cp --verbose {input:q} $(dirname {output[0]:q}) > {log:q}"


rule reconstruct:
    """Needs the stages that encode and decode, so it runs beside the training of what generates latents."""
    input:
        data=LAYOUT.dataset("{dataset}"),
        weights=lambda w: PLAN.weights(w.dataset, w.row, w.train_seed, PLAN.system(w.row).uses.encode),
    output:
        trained("reconstruction.json"),
    log:
        "logs/{dataset}/{row}/train{train_seed}/reconstruct.log",
    conda:
        "../../envs/train.yaml"
    resources:
        gpu=gpus,
        device=device,
    params:
        system=lambda wildcards: PLAN.rows[wildcards.row].base,
        weights=lambda wildcards, input: options("--weights", named(input.weights)),
    message:
        "{wildcards.dataset}: reconstructing test molecules with {wildcards.row}, seed {wildcards.train_seed}"
    shell:
        "latent3d reconstruct {params.system} --data {input.data:q} {params.weights}"
        " --device {resources.device} --out {output:q}"
        " 2>&1 | tee -i {log:q}"


rule interpolate:
    input:
        data=LAYOUT.dataset("{dataset}"),
        weights=lambda w: PLAN.weights(w.dataset, w.row, w.train_seed, PLAN.system(w.row).uses.interpolate),
    output:
        trained("interpolation.parquet"),
    log:
        "logs/{dataset}/{row}/train{train_seed}/interpolate.log",
    conda:
        "../../envs/train.yaml"
    resources:
        gpu=gpus,
        device=device,
    params:
        system=lambda wildcards: PLAN.rows[wildcards.row].base,
        weights=lambda wildcards, input: options("--weights", named(input.weights)),
    message:
        "{wildcards.dataset}: paths between latents of {wildcards.row}, seed {wildcards.train_seed}"
    shell:
        "latent3d interpolate {params.system} --data {input.data:q} {params.weights}"
        " --device {resources.device} --out {output:q}"
        " 2>&1 | tee -i {log:q}"
