"""Energies with GFN2-xTB and MMFF94s. One job covers all seeds and geometries of a row's training seed (see `groups`).

One core each: rows run side by side, and nothing waits until all cores are free. `--set-threads` where that is too slow.
With more than one shard (`energy.shards`) each of them is a job, and one more puts their parts together.
"""

SHARDS = CONFIGURATION.energy.shards
# What one job makes of each set of samples; the name is that of energies_file.shard_file.
PART = "energies.parquet" if SHARDS == 1 else f"energies.{{shard}}-of-{SHARDS}.parquet"


rule energy_reference:
    """Single points of the test molecules: the distribution that the energies of samples are compared with."""
    input:
        "results/{dataset}/dataset.parquet",
    output:
        "results/{dataset}/energies.parquet",
    log:
        "logs/{dataset}/energy.log",
    conda:
        "../../envs/energy.yaml"
    message:
        "{wildcards.dataset}: GFN2-xTB energies of the test molecules"
    shell:
        "latent3d energy {input:q} --split test --relaxation 0 --strain 0 --processes {threads}"
        " --checkpoints checkpoints 2>&1 | tee -i {log:q}"


for LABEL, DATASET, GEOMETRIES, SEEDS, ROWS in groups():

    rule:
        name:
            f"energy_{LABEL}"
        input:
            of_samples(GEOMETRIES, SEEDS, "samples.parquet"),
        output:
            of_samples(GEOMETRIES, SEEDS, PART) if SHARDS == 1 else temp(of_samples(GEOMETRIES, SEEDS, PART)),
        log:
            f"logs/{{dataset}}/{{row}}/train{{train_seed}}/{Path(PART).stem}.log",
        wildcard_constraints:
            dataset=DATASET,
            row=alternatives(ROWS),
            shard="[0-9]+",
        conda:
            "../../envs/energy.yaml"
        params:
            options=energy_options,
            shard=lambda wildcards: f"--shard {wildcards.shard}/{SHARDS}" if SHARDS > 1 else "",
        message:
            "{wildcards.dataset}: energies of {wildcards.row} (training seed {wildcards.train_seed})"
        shell:
            "latent3d energy {input:q} {params.options} {params.shard} --processes {threads}"
            " --checkpoints checkpoints 2>&1 | tee -i {log:q}"

    if SHARDS > 1:

        rule:
            name:
                f"join_{LABEL}"
            input:
                samples=of_samples(GEOMETRIES, SEEDS, "samples.parquet"),
                parts=[
                    part
                    for shard in range(1, SHARDS + 1)
                    for part in of_samples(GEOMETRIES, SEEDS, PART.format(shard=shard))
                ],
            output:
                of_samples(GEOMETRIES, SEEDS, "energies.parquet"),
            log:
                "logs/{dataset}/{row}/train{train_seed}/energies.log",
            wildcard_constraints:
                dataset=DATASET,
                row=alternatives(ROWS),
            localrule: True
            conda:
                "../../envs/energy.yaml"
            params:
                shards=SHARDS,
            message:
                "{wildcards.dataset}: energies of {wildcards.row} (training seed {wildcards.train_seed}), all shards"
            shell:
                "latent3d energy {input.samples:q} --join {params.shards} 2>&1 | tee -i {log:q}"
