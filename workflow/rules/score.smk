"""Metrics. One job covers all sampling seeds and geometries of a row and training seed (see `groups`)."""

for DATASET, GEOMETRIES, ROWS in groups():

    rule:
        name:
            f"score_{DATASET}_{'_'.join(GEOMETRIES)}"
        input:
            reference="results/{dataset}/dataset.parquet",
            reference_energies="results/{dataset}/gfn2.parquet",
            samples=of_samples(DATASET, GEOMETRIES, "samples.parquet"),
            energies=of_samples(DATASET, GEOMETRIES, "gfn2.parquet"),
        output:
            of_samples(DATASET, GEOMETRIES, "ledger.parquet"),
            of_samples(DATASET, GEOMETRIES, "metrics.json"),
        log:
            "logs/{dataset}/{row}/train{train_seed}/score.log",
        wildcard_constraints:
            dataset=DATASET,
            row=alternatives(ROWS),
        conda:
            "../../envs/base.yaml"
        message:
            "{wildcards.dataset}: scoring {wildcards.row} (training seed {wildcards.train_seed})"
        shell:
            "latent3d score {input.samples:q} --reference {input.reference:q}"
            " --reference-energies {input.reference_energies:q} 2>&1 | tee -i {log:q}"
