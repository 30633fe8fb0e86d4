"""GFN2-xTB energies. One job covers all sampling seeds and geometries of a row and training seed (see `groups`).

One core each: rows run side by side, and nothing waits until all cores are free. `--set-threads` where that is too slow.
"""


rule energy_reference:
    """Of all molecules of a dataset: the distribution that the energies of samples are compared with."""
    input:
        "results/{dataset}/dataset.parquet",
    output:
        "results/{dataset}/gfn2.parquet",
    log:
        "logs/{dataset}/energy.log",
    conda:
        "../../envs/energy.yaml"
    message:
        "{wildcards.dataset}: GFN2-xTB energies of the dataset"
    shell:
        "latent3d energy {input:q} --processes {threads} 2>&1 | tee -i {log:q}"


for LABEL, DATASET, GEOMETRIES, SEEDS, ROWS in groups():

    rule:
        name:
            f"energy_{LABEL}"
        input:
            of_samples(GEOMETRIES, SEEDS, "samples.parquet"),
        output:
            of_samples(GEOMETRIES, SEEDS, "gfn2.parquet"),
        log:
            "logs/{dataset}/{row}/train{train_seed}/energy.log",
        wildcard_constraints:
            dataset=DATASET,
            row=alternatives(ROWS),
        conda:
            "../../envs/energy.yaml"
        message:
            "{wildcards.dataset}: GFN2-xTB energies of {wildcards.row} (training seed {wildcards.train_seed})"
        shell:
            "latent3d energy {input:q} --processes {threads} 2>&1 | tee -i {log:q}"
