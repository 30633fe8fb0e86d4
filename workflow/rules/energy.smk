"""GFN2-xTB energies. One job covers all sampling seeds and geometries of a row and training seed (see `groups`)."""

for DATASET, GEOMETRIES, ROWS in groups():

    rule:
        name:
            f"energy_{DATASET}_{'_'.join(GEOMETRIES)}"
        input:
            of_samples(DATASET, GEOMETRIES, "samples.parquet"),
        output:
            of_samples(DATASET, GEOMETRIES, "gfn2.parquet"),
        log:
            "logs/{dataset}/{row}/train{train_seed}/energy.log",
        wildcard_constraints:
            dataset=DATASET,
            row=alternatives(ROWS),
        conda:
            "../../envs/energy.yaml"
        threads: 8
        message:
            "{wildcards.dataset}: GFN2-xTB energies of {wildcards.row} (training seed {wildcards.train_seed})"
        shell:
            "latent3d energy {input:q} --processes {threads} 2>&1 | tee -i {log:q}"
