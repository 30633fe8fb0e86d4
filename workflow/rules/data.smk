"""Raw molecules, and the datasets made of them."""


localrules:
    download_qm9,


rule download_qm9:
    output:
        LAYOUT.raw("qm9"),
    log:
        "logs/download_qm9.log",
    retries: 2
    conda:
        "../../envs/base.yaml"
    threads: 4
    message:
        "Getting QM9 (from the folder LATENT3D_MIRROR, or the official archive)"
    shell:
        "latent3d download qm9 --out {output:q} --cache downloads --processes {threads} 2>&1 | tee -i {log:q}"


rule prepare:
    input:
        lambda wildcards: PLAN.raw_molecules(wildcards.dataset),
    output:
        LAYOUT.dataset("{dataset}"),
    log:
        "logs/{dataset}/prepare.log",
    conda:
        "../../envs/base.yaml"
    threads: 4
    params:
        settings=lambda wildcards: as_json(PLAN.preparation(wildcards.dataset)),
    message:
        "{wildcards.dataset}: preparing the dataset and its split"
    shell:
        "latent3d prepare {input:q} --out {output:q} --settings {params.settings:q} --processes {threads}"
        " 2>&1 | tee -i {log:q}"
