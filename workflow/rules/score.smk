"""Metrics, of all sampling seeds of a row, training seed and variant."""


rule reference:
    """Statistics of the training molecules, made once. What PoseBusters says of real molecules is a row of the tables."""
    input:
        LAYOUT.dataset("{dataset}"),
    output:
        LAYOUT.reference("{dataset}"),
    log:
        "logs/{dataset}/reference.log",
    conda:
        "../../envs/score.yaml"
    threads: 4
    params:
        fcd=PLAN.fcd_option(),
    message:
        "{wildcards.dataset}: statistics of the training molecules"
    shell:
        "latent3d reference {input:q} --out {output:q} --posebusters 0 {params.fcd} --processes {threads} 2>&1 | tee -i {log:q}"


rule judge:
    """What the trained predictors of a task say of samples."""
    input:
        samples=of_samples(SAMPLES),
        weights=lambda w: [file for files in PLAN.judges(w.benchmark).values() for file in files.values()],
    output:
        of_samples(JUDGED),
    log:
        "logs/{benchmark}/{row}/train{train_seed}/{variant}.judge.log",
    conda:
        "../../envs/train.yaml"
    resources:
        gpu=gpus,
        device=PLAN.configuration.device,
    params:
        judges=lambda w: options(
            "--weights",
            [
                f"{judge}:{stage}={file}"
                for judge, files in PLAN.judges(w.benchmark).items()
                for stage, file in files.items()
            ],
        ),
    message:
        "{wildcards.benchmark}: judging {wildcards.row}, {wildcards.variant} (training seed {wildcards.train_seed})"
    shell:
        "latent3d judge {input.samples:q} {params.judges} --device {resources.device} --out {output:q}"
        " 2>&1 | tee -i {log:q}"


rule score:
    input:
        samples=of_samples(SAMPLES),
        requests=lambda w: [] if w.row in PLAN.submissions else LAYOUT.requests(w.benchmark),
        reference=lambda w: LAYOUT.reference(dataset_of(w)),
        reference_energies=lambda w: LAYOUT.reference_energies(dataset_of(w)),
        energies=lambda w: of_samples(ENERGIES).format(**w) if PLAN.has_energies(w.row) else [],
        judged=lambda w: of_samples(JUDGED).format(**w) if PLAN.benchmarks[w.benchmark].definition.judges else [],
    output:
        measures=of_samples(MEASURES),
        ledger=of_samples(LEDGER),
    log:
        "logs/{benchmark}/{row}/train{train_seed}/{variant}.score.log",
    conda:
        "../../envs/score.yaml"
    params:
        task=lambda wildcards: PLAN.benchmarks[wildcards.benchmark].task,
        identity=lambda w: as_json(
            {"benchmark": w.benchmark, "row": w.row, "train_seed": int(w.train_seed), "variant": w.variant}
        ),
        requests=lambda wildcards, input: options("--requests", [input.requests] if input.requests else []),
        options=lambda wildcards: PLAN.metric_options(wildcards.row),
        folder=lambda wildcards, output: Path(output.measures).parent,
    message:
        "{wildcards.benchmark}: scoring {wildcards.row}, {wildcards.variant} (training seed {wildcards.train_seed})"
    shell:
        "latent3d score {input.samples:q} --task {params.task} {params.requests} --reference {input.reference:q}"
        " --reference-energies {input.reference_energies:q} --identity {params.identity:q} --out {params.folder:q}"
        " {params.options} --processes {threads} --quiet 2>&1 | tee -i {log:q}"
