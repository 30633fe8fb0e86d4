"""Tables, figures and the report, made of the measurements alone. Captions are those of the catalogue."""


localrules:
    main_table,
    table,
    figure,
    report,


# What every table and figure is told. The captions of Snakemake's own report read `caption`.
SHOWN = "--benchmark {wildcards.benchmark} --task {params.task} --rows {params.rows:q} --results results --published {input.published:q}"


rule main_table:
    input:
        measurements=lambda wildcards: TARGETS.table_inputs(wildcards.benchmark, None),
        data=data_of,
        published=PUBLISHED,
    output:
        report(
            LAYOUT.table(None, "{benchmark}"),
            caption="../report/caption.rst",
            category="Tables",
            subcategory="{benchmark}",
            labels={"table": "main"},
        ),
    log:
        "logs/{benchmark}/table.log",
    conda:
        "../../envs/base.yaml"
    params:
        task=task_of,
        name=lambda wildcards: TARGETS.main_table(wildcards.benchmark).name,
        caption=lambda wildcards: TARGETS.caption(wildcards.benchmark, TARGETS.main_table(wildcards.benchmark)),
        rows=lambda wildcards: rows_as_json(TARGETS.rows(wildcards.benchmark)),
    message:
        "{wildcards.benchmark}: table of {params.name}"
    shell:
        f"latent3d table {{params.name}} {SHOWN} --out {{output:q}} 2>&1 | tee -i {{log:q}}"


rule table:
    input:
        measurements=lambda wildcards: TARGETS.table_inputs(wildcards.benchmark, wildcards.table),
        data=data_of,
        published=PUBLISHED,
    output:
        report(
            LAYOUT.table("{table}", "{benchmark}"),
            caption="../report/caption.rst",
            category="Tables",
            subcategory="{benchmark}",
            labels={"table": "{table}"},
        ),
    log:
        "logs/{benchmark}/table_{table}.log",
    wildcard_constraints:
        table=alternatives(TARGETS.table_names()),
    conda:
        "../../envs/base.yaml"
    params:
        task=task_of,
        caption=lambda w: TARGETS.caption(w.benchmark, TARGETS.table(w.benchmark, w.table)),
        rows=lambda wildcards: rows_as_json(TARGETS.rows(wildcards.benchmark)),
    message:
        "{wildcards.benchmark}: table of {wildcards.table}"
    shell:
        f"latent3d table {{wildcards.table}} {SHOWN} --out {{output:q}} 2>&1 | tee -i {{log:q}}"


rule figure:
    input:
        measurements=lambda wildcards: TARGETS.figure_inputs(wildcards.benchmark, wildcards.figure),
        published=PUBLISHED,
    output:
        vector=report(
            LAYOUT.figure("{figure}", "{benchmark}"),
            caption="../report/caption.rst",
            category="Figures",
            subcategory="{benchmark}",
            labels={"figure": "{figure}"},
        ),
        image=LAYOUT.figure("{figure}", "{benchmark}", ".png"),
    log:
        "logs/{benchmark}/fig_{figure}.log",
    wildcard_constraints:
        figure=alternatives(TARGETS.figure_names()),
    conda:
        "../../envs/base.yaml"
    params:
        task=task_of,
        name=lambda w: TARGETS.figure(w.benchmark, w.figure).name,
        caption=lambda w: TARGETS.caption(w.benchmark, TARGETS.figure(w.benchmark, w.figure), w.figure),
        rows=lambda w: rows_as_json(TARGETS.figure_rows(w.benchmark, w.figure)),
    message:
        "{wildcards.benchmark}: figure of {wildcards.figure}"
    shell:
        f"latent3d figure {{params.name}} {SHOWN} --out {{output.vector:q}} 2>&1 | tee -i {{log:q}}"


rule report:
    input:
        shown=[file for benchmark in PLAN.configuration.all for file in TARGETS.files(benchmark)],
        samples=[
            file
            for benchmark in PLAN.configuration.all
            for name in (MEASURES, SAMPLES, LEDGER, ENERGIES)
            for file in PLAN.sample_files(benchmark, PLAN.rows_of(benchmark), name)
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
        benchmarks=lambda wildcards: options("--benchmark", map(TARGETS.for_report, PLAN.configuration.all)),
    message:
        "Report of everything: {output}"
    shell:
        "latent3d report {input.shown:q} --results results {params.benchmarks} --out {output:q} 2>&1 | tee -i {log:q}"
