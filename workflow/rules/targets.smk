"""What tables, figures and the report are made of, and what a run says before it starts."""

from collections import Counter


def reconstructs(sweep):
    """Whether a sweep trains autoencoders: then what they reconstruct stands in its figure."""
    settings = CONFIGURATION.sweeps[sweep]
    return all(SYSTEMS[row].uses.encode for row in settings.rows) and any(
        not key.startswith("sampling.") for key in settings.vary
    )


def table_row(dataset, row):
    """What the tables and figures of a dataset need to know about a row (see reporting/rows.py)."""
    return {
        "name": row,
        "base": "submission" if row in SUBMISSIONS else ROWS[row].base,
        "position": list(SYSTEMS).index(row),
        "dataset": dataset,
        "variants": GEOMETRIES_OF[row],
        "train_seeds": train_seeds(dataset, row),
        "sample_seeds": sample_seeds(dataset, row),
        "stages": owners_of(dataset, row),
        "autoencoder": row in autoencoder_rows(dataset),
        "interpolation": row in interpolating_rows(dataset),
        "samples_of": source_of(row),
        "submission": row in SUBMISSIONS,
        "published": published(dataset, row),
    }


def table_rows(dataset):
    """JSON of the rows of a dataset's tables and figures."""
    return as_json([table_row(dataset, row) for row in rows_of(dataset)])


def sweep_rows(dataset, sweep):
    """JSON of the rows of a sweep's figure: the rows that are varied, and their variants, with their settings; raw."""
    preset = CONFIGURATION.datasets[dataset].preset
    keys = [key.split(".") for key in CONFIGURATION.sweeps[sweep].vary]
    varied = [
        (row, row, {f"{stage}.{name}": hyperparameters(ROWS[row], stage, preset)[name] for stage, name in keys})
        for row in CONFIGURATION.sweeps[sweep].rows
    ]
    varied += [(name, variant.of, variant.settings) for name, variant in SWEEPS[sweep].items()]
    # In the order of the configuration, not sorted: the last setting is the x-axis.
    return json.dumps(
        [
            {
                **table_row(dataset, row),
                "variants": ["raw"],
                "autoencoder": reconstructs(sweep),
                "of": of,
                "settings": settings,
            }
            for row, of, settings in varied
        ]
    )


def compared_rows(dataset, comparison):
    """The rows of a comparison that a dataset has."""
    return [row for row in CONFIGURATION.comparisons[comparison] if row in rows_of(dataset)]


def published(dataset, row):
    """Published systems beside a row, by geometry, on the papers' dataset: the row's own, else those of its system.

    A variant of a system is not what was published, unless its row says so.
    """
    if CONFIGURATION.datasets[dataset].source != "qm9":
        return {}
    if row in SUBMISSIONS:
        return SUBMISSIONS[row].published
    if ROWS[row].published is not None:
        return ROWS[row].published
    return {} if ROWS[row].overrides else SYSTEMS[row].published


def table_inputs(wildcards):
    """Measurements behind a table other than the main one."""
    dataset = wildcards.dataset
    if wildcards.table in ("distribution", "energy"):
        return row_files(dataset, "metrics.json")
    if wildcards.table == "autoencoder":
        return trained_files(dataset, autoencoder_rows(dataset), "reconstruction.json")
    trained = stage_files(dataset, ".run.json")
    # What a submission cost is not known.
    return trained + row_files(dataset, "run.json", [row for row in rows_of(dataset) if row not in SUBMISSIONS])


def kind_of_figure(name):
    """What `latent3d figure` calls a figure: those that the configuration names share two kinds."""
    return "sweep" if name in SWEEPS else "comparison" if name in CONFIGURATION.comparisons else name


def figure_rows(wildcards):
    """JSON of the rows of a figure."""
    dataset, figure = wildcards.dataset, wildcards.figure
    if figure in SWEEPS:
        return sweep_rows(dataset, figure)
    if figure in CONFIGURATION.comparisons:
        return as_json([table_row(dataset, row) for row in compared_rows(dataset, figure)])
    return table_rows(dataset)


def figure_inputs(wildcards):
    """Measurements behind a figure."""
    dataset, name = wildcards.dataset, wildcards.figure
    if name == "training":
        return stage_files(dataset, ".log.csv")
    if name == "interpolation":
        # Of the first training seed.
        return [trained_files(dataset, [row], "interpolation.parquet")[0] for row in interpolating_rows(dataset)]
    if name == "reconstruction":
        return trained_files(dataset, autoencoder_rows(dataset), "reconstruction.json")
    if name in SWEEPS:
        rows = [*CONFIGURATION.sweeps[name].rows, *SWEEPS[name]]
        files = [file for file in row_files(dataset, "metrics.json", rows) if "/raw/" in file]
        return files + (trained_files(dataset, rows, "reconstruction.json") if reconstructs(name) else [])
    if name in CONFIGURATION.comparisons:
        return row_files(dataset, "metrics.json", compared_rows(dataset, name))
    if name == "cost_quality":
        return stage_files(dataset, ".run.json") + row_files(dataset, "metrics.json")
    if name == "properties":
        return [file for file in row_files(dataset, "ledger.csv") if "/raw/" in file]
    files = {"quality": "metrics.json", "energy": "energies.parquet", "relaxation": "energies.parquet"}
    return row_files(dataset, files.get(name, "samples.parquet"))


def tables_and_figures(dataset):
    """All tables and figures of a dataset."""
    names = ["distribution", "energy", "cost"] + (["autoencoder"] if autoencoder_rows(dataset) else [])
    figures = ["quality", "energy", "relaxation", "properties", "samples"]
    figures += ["interpolation"] if interpolating_rows(dataset) else []
    figures += ["reconstruction"] if autoencoder_rows(dataset) else []
    figures += ["cost_quality", "training"] if stage_files(dataset, "") else []
    figures += sweeps_of(dataset)
    figures += [name for name in CONFIGURATION.comparisons if len(compared_rows(dataset, name)) > 1]
    return [
        f"results/table_{dataset}.csv",
        *(f"results/table_{name}_{dataset}.csv" for name in names),
        *(f"results/fig_{name}_{dataset}.svg" for name in figures),
    ]


def print_cost():
    """Before work starts: jobs and training steps to do, per dataset. Commands print their time estimates themselves."""
    jobs, steps = Counter(), Counter()
    for job in workflow.dag.needrun_jobs():
        dataset = getattr(job.wildcards, "dataset", None)
        jobs[dataset or "all datasets"] += 1
        if job.rule.name == "train":
            settings = json.loads(settings_of(job.wildcards, job.wildcards.stage))
            steps[dataset] += settings.get("steps", 0)
    for dataset in set(jobs) & set(CONFIGURATION.datasets):
        rows = for_dataset(CONFIGURATION, dataset, "rows")
        missing = [row for row in rows if not can_be_made(dataset, row)]
        if missing:
            print(
                f"latent3d: {dataset}: left out, since their weights were not released: {', '.join(missing)}",
                file=sys.stderr,
                flush=True,
            )
    for dataset, count in jobs.items():
        training = f", {steps[dataset]:,} training steps" if steps[dataset] else ""
        print(
            f"latent3d: {dataset}: {count} jobs{training} to do",
            file=sys.stderr,
            flush=True,
        )
