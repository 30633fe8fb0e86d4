"""Tables, figures and the report, made of the measurements alone."""


localrules:
    table_quality,
    table,
    figure,
    report,


rule table_quality:
    input:
        measurements=lambda wildcards: row_files(wildcards.dataset, "metrics.json"),
        data="results/{dataset}/dataset.parquet",
        published=f"{RESOURCES}/published/published_results.csv",
    output:
        report(
            "results/table_{dataset}.csv",
            caption="../report/table_quality.rst",
            category="Tables",
            subcategory="{dataset}",
            labels={"table": "quality"},
        ),
    log:
        "logs/{dataset}/table_quality.log",
    conda:
        "../../envs/base.yaml"
    params:
        rows=lambda wildcards: table_rows(wildcards.dataset),
    message:
        "{wildcards.dataset}: table of quality"
    shell:
        "latent3d table quality --dataset {wildcards.dataset} --rows {params.rows:q} --results results"
        " --published {input.published:q} --out {output:q} 2>&1 | tee -i {log:q}"


rule table:
    input:
        measurements=lambda wildcards: table_inputs(wildcards),
        data="results/{dataset}/dataset.parquet",
        published=f"{RESOURCES}/published/published_results.csv",
    output:
        report(
            "results/table_{table}_{dataset}.csv",
            caption="../report/table.rst",
            category="Tables",
            subcategory="{dataset}",
            labels={"table": "{table}"},
        ),
    log:
        "logs/{dataset}/table_{table}.log",
    wildcard_constraints:
        table=alternatives(set(TABLES) - {"quality"}),
    conda:
        "../../envs/base.yaml"
    params:
        rows=lambda wildcards: table_rows(wildcards.dataset),
    message:
        "{wildcards.dataset}: table of {wildcards.table}"
    shell:
        "latent3d table {wildcards.table} --dataset {wildcards.dataset} --rows {params.rows:q} --results results"
        " --published {input.published:q} --out {output:q} 2>&1 | tee -i {log:q}"


rule figure:
    input:
        measurements=lambda wildcards: figure_inputs(wildcards),
        published=f"{RESOURCES}/published/published_results.csv",
    output:
        vector=report(
            "results/fig_{figure}_{dataset}.svg",
            caption="../report/figure.rst",
            category="Figures",
            subcategory="{dataset}",
            labels={"figure": "{figure}"},
        ),
        image="results/fig_{figure}_{dataset}.png",
    log:
        "logs/{dataset}/fig_{figure}.log",
    wildcard_constraints:
        figure=alternatives([*FIGURES, *SWEEPS, *CONFIGURATION.comparisons]),
    conda:
        "../../envs/base.yaml"
    params:
        name=lambda wildcards: kind_of_figure(wildcards.figure),
        rows=figure_rows,
    message:
        "{wildcards.dataset}: figure of {wildcards.figure}"
    shell:
        "latent3d figure {params.name} --dataset {wildcards.dataset} --rows {params.rows:q} --results results"
        " --published {input.published:q} --out {output.vector:q} 2>&1 | tee -i {log:q}"


rule report:
    input:
        shown=[target for dataset in CONFIGURATION.all for target in tables_and_figures(dataset)],
        samples=[
            name
            for dataset in CONFIGURATION.all
            for file in ("metrics.json", "samples.parquet", "ledger.csv", "energies.parquet")
            for name in row_files(dataset, file)
        ],
    output:
        report(
            "results/report.html",
            caption="../report/report.rst",
            category="Everything in one page",
        ),
    log:
        "logs/report.log",
    conda:
        "../../envs/base.yaml"
    params:
        datasets=[f"--datasets {dataset}" for dataset in CONFIGURATION.all],
    message:
        "Report of everything: {output}"
    shell:
        "latent3d report {input.shown:q} --results results {params.datasets} --out {output:q} 2>&1 | tee -i {log:q}"
