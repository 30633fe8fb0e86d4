"""Metrics. One job covers all sampling seeds and geometries of a row and training seed (see `groups`)."""


rule reference:
    """Statistics of the training molecules, made once. What PoseBusters says of real molecules is a row of the tables."""
    input:
        "results/{dataset}/dataset.parquet",
    output:
        "results/{dataset}/reference.safetensors",
    log:
        "logs/{dataset}/reference.log",
    conda:
        "../../envs/score.yaml"
    threads: 4
    params:
        fcd=fcd_option,
    message:
        "{wildcards.dataset}: statistics of the training molecules"
    shell:
        "latent3d reference {input:q} --out {output:q} --posebusters 0 {params.fcd} --processes {threads} 2>&1 | tee -i {log:q}"


for LABEL, DATASET, GEOMETRIES, SEEDS, NAMES, SWEPT_ONES in groups():

    rule:
        name:
            f"score_{LABEL}"
        input:
            reference="results/{dataset}/reference.safetensors",
            reference_energies="results/{dataset}/energies.parquet",
            samples=of_samples(GEOMETRIES, SEEDS, "samples.parquet"),
            energies=[] if SWEPT_ONES else of_samples(GEOMETRIES, SEEDS, "energies.parquet"),
        output:
            of_samples(GEOMETRIES, SEEDS, "ledger.csv"),
            of_samples(GEOMETRIES, SEEDS, "metrics.json"),
        log:
            "logs/{dataset}/{row}/train{train_seed}/score.log",
        wildcard_constraints:
            dataset=DATASET,
            row=alternatives(NAMES),
        conda:
            "../../envs/score.yaml"
        params:
            options=metric_options,
            folders=lambda wildcards, output: [
                f"--out {Path(file).parent}" for file in output if file.endswith("ledger.csv")
            ],
        message:
            "{wildcards.dataset}: scoring {wildcards.row} (training seed {wildcards.train_seed})"
        shell:
            "latent3d score {input.samples:q} --reference {input.reference:q}"
            " --reference-energies {input.reference_energies:q} {params.folders} {params.options}"
            " --processes {threads} --quiet 2>&1 | tee -i {log:q}"
