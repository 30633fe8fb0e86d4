"""Energies with GFN2-xTB and MMFF94s.

One core each: rows run side by side, and nothing waits until all cores are free. `--set-threads` where that is too slow.
With more than one shard (`energy.shards`) each of them is a job that leaves finished chunks in checkpoints/, and the row's
own job puts them together.
"""

SHARDS = PLAN.configuration.energy.shards
COMPUTED = f"computed.{{shard}}-of-{SHARDS}"


rule energy_reference:
    """Single points of the test molecules: the distribution that the energies of samples are compared with."""
    input:
        LAYOUT.dataset("{dataset}"),
    output:
        LAYOUT.reference_energies("{dataset}"),
    log:
        "logs/{dataset}/energy.log",
    conda:
        "../../envs/energy.yaml"
    message:
        "{wildcards.dataset}: GFN2-xTB energies of the test molecules"
    shell:
        "latent3d energy {input:q} --split test --relaxation 0 --strain 0 --processes {threads}"
        " --checkpoints checkpoints 2>&1 | tee -i {log:q}"


rule energy_shard:
    input:
        of_samples(SAMPLES),
    output:
        temp(touch(of_samples(COMPUTED))),
    log:
        "logs/{benchmark}/{row}/train{train_seed}/{variant}.energies.{shard}.log",
    conda:
        "../../envs/energy.yaml"
    params:
        options=PLAN.energy_options(),
        shards=SHARDS,
    message:
        "{wildcards.benchmark}: energies of {wildcards.row}, {wildcards.variant}, shard {wildcards.shard}"
    shell:
        "latent3d energy {input:q} {params.options} --shard {wildcards.shard}/{params.shards} --processes {threads}"
        " --checkpoints checkpoints 2>&1 | tee -i {log:q}"


rule energy:
    input:
        samples=of_samples(SAMPLES),
        shards=[of_samples(COMPUTED).replace("{shard}", str(shard)) for shard in range(1, SHARDS + 1) if SHARDS > 1],
    output:
        of_samples(ENERGIES),
    log:
        "logs/{benchmark}/{row}/train{train_seed}/{variant}.energies.log",
    conda:
        "../../envs/energy.yaml"
    params:
        options=PLAN.energy_options(),
    message:
        "{wildcards.benchmark}: energies of {wildcards.row}, {wildcards.variant} (training seed {wildcards.train_seed})"
    shell:
        "latent3d energy {input.samples:q} {params.options} --processes {threads}"
        " --checkpoints checkpoints 2>&1 | tee -i {log:q}"
