"""latent3d: from raw datasets to every table and figure.

snakemake -n                                             what would run
snakemake --cores 8 all                                  everything that config.yaml switches on
snakemake --cores 8 results/table_qm9.csv                one table
snakemake --cores 2 --configfile config/quickstart.yaml  the demo (a target would come before --configfile)
"""

from snakemake.utils import min_version

min_version("9.0")


configfile: f"{workflow.basedir}/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/sample.smk"
include: "workflow/rules/energy.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/report.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        [file for benchmark in PLAN.configuration.all for file in TARGETS.files(benchmark)],
        "results/report.html",


onstart:
    print_cost()


onsuccess:
    print(
        "latent3d: done. Open results/report.html; the tables are results/table_*.csv.",
        file=sys.stderr,
    )


onerror:
    print(
        "latent3d: stopped. The first error above names the cause; the same command continues.",
        file=sys.stderr,
    )
