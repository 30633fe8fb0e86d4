"""What a configuration comes to: rows, who trains what, with which seeds, and which files a job reads.

Built once by the Snakefile, of YAML and JSON alone.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from latent3d.base.errors import UserError
from latent3d.base.files import read_json
from latent3d.base.layout import SAMPLES, Layout
from latent3d.plan.benchmarks import plan_benchmarks
from latent3d.plan.models import Configuration, Row, Submission
from latent3d.plan.parse import parse_configuration
from latent3d.plan.sharing import owners
from latent3d.plan.sweeps import swept_rows
from latent3d.plan.systems import SystemDefaults, Uses, hyperparameters, system_defaults

NOTHING_TRAINED = SystemDefaults(tasks=[], stages={}, uses=Uses())


class Plan:
    """A checked configuration, and the answers to what the rules ask of it.

    Attributes:
        configuration: as it was checked.
        layout: where files lie.
        benchmarks: by name.
        sweeps: by name, the rows that each makes of others.
        rows: all that are sampled: those of the configuration, then those of sweeps.
        names: of all rows in their order, submissions between the two.
        resources, released: folders of the embedded dataset and of released weights.
    """

    def __init__(
        self, configuration: Configuration, resources: str = "resources", layout: Layout | None = None
    ) -> None:
        self.configuration = configuration
        self.layout = layout or Layout()
        self.resources, self.released = resources, f"{resources}/checkpoints"
        self.benchmarks = plan_benchmarks(configuration)
        self.sweeps = {name: swept_rows(configuration, name) for name in configuration.sweeps}
        self.swept: dict[str, Row] = {name: one.row for sweep in self.sweeps.values() for name, one in sweep.items()}
        self.rows = {**configuration.rows, **self.swept}
        self.names = [*configuration.rows, *self.submissions, *self.swept]
        presets = {benchmark.preset for benchmark in self.benchmarks.values()}
        self._owners = {preset: owners(self.rows, preset) for preset in presets}

    @property
    def submissions(self) -> Mapping[str, Submission]:
        """Rows that other programs made, by name."""
        return self.configuration.submissions

    # Rows.

    def system(self, row: str) -> SystemDefaults:
        """What the defaults.yaml of a row's system says; of a submission, that nothing is trained."""
        return NOTHING_TRAINED if row in self.submissions else system_defaults(self.rows[row].base)

    def rows_of(self, benchmark: str) -> list[str]:
        """The rows of a benchmark's tables: systems, then submissions."""
        submitted = [name for name, submission in self.submissions.items() if benchmark in submission.benchmarks]
        return [row for row in self.benchmarks[benchmark].rows if self.can_be_made(benchmark, row)] + submitted

    def left_out(self, benchmark: str) -> list[str]:
        """The rows that the configuration names for a benchmark, but whose weights were not released."""
        return [row for row in self.benchmarks[benchmark].rows if not self.can_be_made(benchmark, row)]

    def variants(self, benchmark: str, row: str) -> list[str]:
        """What is done to the samples of a row, as made first."""
        of_task = self.benchmarks[benchmark].definition.variants
        asked = (self.submissions.get(row) or self.rows[row]).variants
        return [variant for variant in of_task if asked is None or variant in asked]

    def source_of(self, row: str) -> str | None:
        """The row whose samples a row starts from."""
        return None if row in self.submissions else self.rows[row].samples_of

    def can_be_made(self, benchmark: str, row: str) -> bool:
        """False where weights are not to be trained, and those of the row's configuration were not released."""
        if self.configuration.weights == "train":
            return True
        source, dataset = self.source_of(row), self.benchmarks[benchmark].dataset
        return all(self._was_released(dataset, row, stage) for stage in self.system(row).stages) and (
            source is None or self.can_be_made(benchmark, source)
        )

    def train_seeds(self, benchmark: str, row: str) -> list[int]:
        """Training seeds of a row; one that depends on no training, or on weights that were released, is made once."""
        if row in self.submissions or self.configuration.weights == "released":
            return [0]
        seeds = list(self.benchmarks[benchmark].train_seeds)
        trained = self.system(row).stages or self.system(self.source_of(row) or row).stages
        return seeds if trained else seeds[:1]

    def sample_seeds(self, benchmark: str, row: str) -> list[int]:
        """Sampling seeds of a row: those of the benchmark; of a submission one per file."""
        if row in self.submissions:
            return list(range(len(self.submissions[row].file)))
        return list(self.benchmarks[benchmark].sample_seeds)

    def sweeps_of(self, benchmark: str) -> list[str]:
        """Names of the sweeps whose figures are made of a benchmark."""
        return [
            name
            for name, sweep in self.configuration.sweeps.items()
            if benchmark in sweep.benchmarks
            and all(self.can_be_made(benchmark, row) for row in [*sweep.rows, *self.sweeps[name]])
        ]

    # Training: by dataset, shared by its benchmarks.

    def trained_rows(self) -> list[str]:
        """Names under which something is trained: rows, and the judges of tasks."""
        judges = {judge for benchmark in self.benchmarks.values() for judge in benchmark.definition.judges}
        return [*self.rows, *sorted(judges)]

    def stages(self) -> set[str]:
        """Names of all trained stages."""
        return {stage for row in self.trained_rows() for stage in self.trained_system(row).stages}

    def trained_system(self, row: str) -> SystemDefaults:
        """The defaults of a row's system, or of a judge."""
        return system_defaults(self.trained_base(row))

    def trained_base(self, row: str) -> str:
        """The system of a row; a judge is its own."""
        return self.rows[row].base if row in self.rows else row

    def owners_of(self, dataset: str, row: str) -> dict[str, str]:
        """{stage: row that trains it} of the stages of a row: rows that are set alike share what is trained."""
        if row not in self.rows:
            return dict.fromkeys([] if row in self.submissions else self.trained_system(row).stages, row)
        of = self._owners[self.configuration.datasets[dataset].preset]
        return {stage: of[row, stage] for stage in self.system(row).stages}

    def settings(self, dataset: str, row: str, stage: str) -> dict[str, Any]:
        """The hyper-parameters of a stage (or of `sampling`) of a row."""
        preset = self.configuration.datasets[dataset].preset
        return hyperparameters(self.rows.get(row) or Row(base=row), stage, preset)

    def weights(self, dataset: str, row: str, train_seed: int | str, stages: Iterable[str]) -> list[str]:
        """Weights files of some stages of a row."""
        by = self.owners_of(dataset, row)
        return [self.layout.trained(dataset, by[stage], train_seed, f"{stage}.safetensors") for stage in stages]

    def released_file(self, dataset: str, row: str, stage: str, ending: str = ".safetensors") -> str:
        """A file of the released weights of a row's stage."""
        return f"{self.released}/{dataset}/{row}/{stage}{ending}"

    def _was_released(self, dataset: str, row: str, stage: str) -> bool:
        run = Path(self.released_file(dataset, self.owners_of(dataset, row)[stage], stage, ".run.json"))
        return run.is_file() and read_json(run)["hyperparameters"] == self.settings(dataset, row, stage)

    # Files behind tables and figures.

    def trained_files(self, benchmark: str, rows: Iterable[str], file: str) -> list[str]:
        """A file per row and training seed, of what rows trained."""
        dataset = self.benchmarks[benchmark].dataset
        return [
            self.layout.trained(dataset, row, seed, file) for row in rows for seed in self.train_seeds(benchmark, row)
        ]

    def stage_files(self, benchmark: str, ending: str) -> list[str]:
        """A file per training seed and trained stage of the rows of a benchmark."""
        dataset = self.benchmarks[benchmark].dataset
        files = [
            self.layout.trained(dataset, owner, seed, f"{stage}{ending}")
            for row in self.rows_of(benchmark)
            for seed in self.train_seeds(benchmark, row)
            for stage, owner in self.owners_of(dataset, row).items()
        ]
        return list(dict.fromkeys(files))

    def sample_files(
        self, benchmark: str, rows: Iterable[str], file: str, variants: Iterable[str] | None = None
    ) -> list[str]:
        """A file per row, training seed and variant (all, or those given), of samples or what is measured of them."""
        return [
            self.layout.of_samples(benchmark, row, seed, variant, file)
            for row in rows
            for seed in self.train_seeds(benchmark, row)
            for variant in self.variants(benchmark, row)
            if variants is None or variant in variants
        ]

    def encoding_rows(self, benchmark: str) -> list[str]:
        """Rows of a benchmark whose system can encode and decode; of those that share all of it the first."""
        found: dict[tuple[str, ...], str] = {}
        for row in self.rows_of(benchmark):
            encode = self.system(row).uses.encode
            if encode:
                by = self.owners_of(self.benchmarks[benchmark].dataset, row)
                found.setdefault(tuple(by[stage] for stage in encode), row)
        return list(found.values())

    def interpolating_rows(self, benchmark: str) -> list[str]:
        """Rows whose system can decode paths between latents; of those that share all of it the first."""
        return [row for row in self.encoding_rows(benchmark) if self.system(row).uses.interpolate]

    # Jobs.

    def source_samples(self, benchmark: str, row: str, train_seed: int | str) -> list[str]:
        """The samples that a row starts from; none for rows that stand alone."""
        source = self.source_of(row)
        return [] if source is None else [self.layout.of_samples(benchmark, source, train_seed, "raw", SAMPLES)]

    def device(self, row: str) -> str:
        """Device of a training or sampling job: rows that train nothing (controls) have no network to put on a GPU."""
        return self.configuration.device if row not in self.rows or self.system(row).stages else "cpu"

    def raw_molecules(self, dataset: str) -> str:
        """The molecules that a dataset is made of."""
        settings = self.configuration.datasets[dataset]
        if settings.source == "file":
            return str(settings.file)
        return f"{self.resources}/mini.parquet" if settings.source == "mini" else self.layout.raw(settings.source)

    def preparation(self, dataset: str) -> dict[str, Any]:
        """What `latent3d prepare` is told of a dataset."""
        included = {"source", "file", "split", "train_size", "test_size"}
        return self.configuration.datasets[dataset].model_dump(include=included)

    def sample_shards(self, row: str) -> range:
        """Shards over which the sampling of a row is spread; none where there is one job, or no network."""
        count = self.configuration.sample_shards
        return range(1, count + 1) if count > 1 and self.system(row).stages else range(0)

    def has_energies(self, row: str) -> bool:
        """Variants of a sweep have none."""
        return row not in self.swept

    def energy_options(self) -> str:
        """What `latent3d energy` computes, as its options."""
        energy = self.configuration.energy
        return (
            f"--relaxation {energy.relaxation} --strain {energy.strain} --dynamics {energy.dynamics}"
            f" --gfn2-dynamics {energy.gfn2_dynamics}"
        )

    def fcd_option(self) -> str:
        """Whether the Fréchet ChemNet distance is measured, as an option."""
        return "--fcd" if self.configuration.metrics.fcd else "--no-fcd"

    def metric_options(self, row: str) -> str:
        """What `latent3d score` measures, as its options; of variants of a sweep no PoseBusters and no FCD."""
        if row in self.swept:
            return "--posebusters 0 --energy-ratio 0 --no-fcd"
        metrics = self.configuration.metrics
        return f"--posebusters {metrics.posebusters} --energy-ratio {metrics.energy_ratio} {self.fcd_option()}"

    def judges(self, benchmark: str) -> dict[str, dict[str, str]]:
        """{judge: {stage: weights file}} of a benchmark's task."""
        dataset = self.benchmarks[benchmark].dataset
        return {
            judge: dict(zip(stages, self.weights(dataset, judge, 0, stages), strict=True))
            for judge in self.benchmarks[benchmark].definition.judges
            for stages in [list(self.trained_system(judge).stages)]
        }

    def cost(self, jobs: Iterable[tuple[str, Mapping[str, str]]]) -> list[str]:
        """What there is to do, in lines: of jobs (rule, wildcards), and the rows that are left out."""
        counts: Counter[str] = Counter()
        steps: Counter[str] = Counter()
        for rule, wildcards in jobs:
            of = wildcards.get("benchmark") or wildcards.get("dataset") or "all"
            counts[of] += 1
            if rule == "train":
                steps[of] += self.settings(of, wildcards["row"], wildcards["stage"]).get("steps", 0)
        lines = [
            f"{of}: left out, since their weights were not released: {', '.join(self.left_out(of))}"
            for of in counts
            if of in self.benchmarks and self.left_out(of)
        ]
        return lines + [
            f"{of}: {count} jobs{f', {steps[of]:,} training steps' if steps[of] else ''} to do"
            for of, count in counts.items()
        ]


def read_plan(raw: Mapping[str, Any], repository: Path, resources: str = "resources") -> Plan:
    """The plan of config.yaml with what lies on top of it, whose rows Snakemake may have put into another order.

    Raises:
        UserError: a mistake in the configuration, or a file that it names is not there.
    """
    shipped = yaml.safe_load((repository / "config.yaml").read_text())["rows"]
    rows = raw.get("rows")
    if isinstance(rows, dict):
        rows = {**{name: rows[name] for name in shipped if name in rows}, **rows}
    configuration = parse_configuration({**raw, "rows": rows})
    for name, submission in configuration.submissions.items():
        for file in submission.file:
            _check_file(f"submissions.{name}.file", file)
    for name, dataset in configuration.datasets.items():
        if dataset.file is not None:
            _check_file(f"datasets.{name}.file", dataset.file)
    return Plan(configuration, resources)


def as_json(value: Any) -> str:
    """Canonical JSON: equal values are equal parameters, so nothing is made again without a reason."""
    return json.dumps(value, sort_keys=True)


def _check_file(key: str, file: str) -> None:
    if not Path(file).is_file():
        raise UserError(f"config key {key}: {file} does not exist. Check the path.")
