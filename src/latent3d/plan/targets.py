"""What tables and figures a benchmark has, which rows stand in them, and which files they are made of."""

import json
from collections.abc import Iterable
from typing import Any

from latent3d.plan.entries import figures_of, tables_of
from latent3d.plan.plan import Plan
from latent3d.reporting.catalogue import COMPARISON, SWEEP, Entry, files_behind
from latent3d.reporting.rows import ShownBenchmark, TableRow


class Targets:
    """The tables and figures of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.layout = plan, plan.layout
        self._known: dict[str, list[TableRow]] = {}

    # What there is.

    def main_table(self, benchmark: str) -> Entry:
        """The table that has no name of its own."""
        return next(iter(tables_of(self._task(benchmark)).values()))

    def table(self, benchmark: str, name: str | None) -> Entry:
        """A table by the name in its file's; None for the main one."""
        return self.main_table(benchmark) if name is None else tables_of(self._task(benchmark))[name]

    def figure(self, benchmark: str, name: str) -> Entry:
        """A figure by the name in its file's: of the task, of a sweep or of a comparison."""
        if name in self.plan.sweeps:
            return SWEEP
        if name in self.plan.configuration.comparisons:
            return COMPARISON
        return figures_of(self._task(benchmark))[name]

    def table_names(self) -> list[str]:
        """Names of all tables but main ones, of all benchmarks."""
        names = [list(tables_of(self._task(benchmark)))[1:] for benchmark in self.plan.benchmarks]
        return list(dict.fromkeys(name for of_one in names for name in of_one))

    def figure_names(self) -> list[str]:
        """Names of all figures, of all benchmarks."""
        names = [list(figures_of(self._task(benchmark))) for benchmark in self.plan.benchmarks]
        return list(
            dict.fromkeys(
                [
                    *(name for of_one in names for name in of_one),
                    *self.plan.sweeps,
                    *self.plan.configuration.comparisons,
                ]
            )
        )

    def files(self, benchmark: str) -> list[str]:
        """All tables and figures of a benchmark for which there is something to show."""
        _, *tables = tables_of(self._task(benchmark))
        figures = [
            *figures_of(self._task(benchmark)),
            *self.plan.sweeps_of(benchmark),
            *(name for name in self.plan.configuration.comparisons if len(self.compared_rows(benchmark, name)) > 1),
        ]
        return [
            self.layout.table(None, benchmark),
            *(self.layout.table(name, benchmark) for name in tables if self.table_inputs(benchmark, name)),
            *(self.layout.figure(name, benchmark) for name in figures if self.figure_inputs(benchmark, name)),
        ]

    def caption(self, benchmark: str, entry: Entry, figure: str = "") -> str:
        """What a table, or the figure of that name, shows, in sentences."""
        sweep = self.plan.configuration.sweeps.get(figure)
        rows = sweep.rows if sweep else self.plan.configuration.comparisons.get(figure, [])
        what = entry.caption.format(rows=", ".join(rows), settings=" and ".join(sweep.vary if sweep else []))
        return f"{what}. Rows of {benchmark}" + ("." if figure else "; mean and standard deviation over seeds.")

    # What they are made of.

    def table_inputs(self, benchmark: str, name: str | None) -> list[str]:
        """Measurements behind a table."""
        return files_behind(self.table(benchmark, name), benchmark, self.rows(benchmark), self.layout)

    def figure_inputs(self, benchmark: str, name: str) -> list[str]:
        """Measurements behind a figure."""
        return files_behind(self.figure(benchmark, name), benchmark, self.figure_rows(benchmark, name), self.layout)

    # Rows.

    def rows(self, benchmark: str) -> list[TableRow]:
        """The rows of a benchmark's tables and figures."""
        if benchmark not in self._known:
            encoding, paths = self.plan.encoding_rows(benchmark), self.plan.interpolating_rows(benchmark)
            self._known[benchmark] = [
                self._row(benchmark, row, autoencoder=row in encoding, interpolation=row in paths)
                for row in self.plan.rows_of(benchmark)
            ]
        return self._known[benchmark]

    def figure_rows(self, benchmark: str, name: str) -> list[TableRow]:
        """The rows of a figure."""
        if name in self.plan.sweeps:
            return self._sweep_rows(benchmark, name)
        if name in self.plan.configuration.comparisons:
            compared = self.compared_rows(benchmark, name)
            return [row for name in compared for row in self.rows(benchmark) if row.name == name]
        return self.rows(benchmark)

    def compared_rows(self, benchmark: str, comparison: str) -> list[str]:
        """The rows of a comparison that a benchmark has."""
        has = self.plan.rows_of(benchmark)
        return [row for row in self.plan.configuration.comparisons[comparison] if row in has]

    def published(self, benchmark: str, row: str) -> dict[str, str]:
        """Published systems beside a row, by variant, on the papers' dataset: the row's own, else those of its system.

        A variant of a system is not what was published, unless its row says so.
        """
        plan = self.plan
        if plan.configuration.datasets[plan.benchmarks[benchmark].dataset].source != "qm9":
            return {}
        if row in plan.submissions:
            return plan.submissions[row].published
        said = plan.rows[row].published
        if said is None:
            said = {} if plan.rows[row].overrides else plan.system(row).published
        return said

    def _row(self, benchmark: str, row: str, **changed: Any) -> TableRow:
        plan = self.plan
        dataset = plan.benchmarks[benchmark].dataset
        facts = {
            "name": row,
            "base": "submission" if row in plan.submissions else plan.rows[row].base,
            "position": plan.names.index(row),
            "dataset": dataset,
            "variants": plan.variants(benchmark, row),
            "train_seeds": plan.train_seeds(benchmark, row),
            "sample_seeds": plan.sample_seeds(benchmark, row),
            "stages": dict(sorted(plan.owners_of(dataset, row).items())),
            "samples_of": plan.source_of(row),
            "submission": row in plan.submissions,
            "published": self.published(benchmark, row),
        }
        return TableRow(**{**facts, **changed})

    def _sweep_rows(self, benchmark: str, sweep: str) -> list[TableRow]:
        """The rows that are varied, and what the sweep makes of them, with their settings."""
        plan, settings = self.plan, self.plan.configuration.sweeps[sweep]
        dataset = plan.benchmarks[benchmark].dataset
        keys = [key.split(".") for key in settings.vary]
        varied = [
            (row, row, {f"{stage}.{name}": plan.settings(dataset, row, stage)[name] for stage, name in keys})
            for row in settings.rows
        ]
        varied += [(name, one.of, one.settings) for name, one in plan.sweeps[sweep].items()]
        # What autoencoders reconstruct is shown where the sweep trains them anew.
        reconstructs = all(plan.system(row).uses.encode for row in settings.rows) and any(
            not key.startswith("sampling.") for key in settings.vary
        )
        return [
            self._row(benchmark, row, variants=["raw"], autoencoder=reconstructs, of=of, settings=values)
            for row, of, values in varied
        ]

    def for_report(self, benchmark: str) -> str:
        """JSON of what the report is told of a benchmark (reporting/rows.py)."""
        sweeps, comparisons = self.plan.sweeps, self.plan.configuration.comparisons
        shared = dict.fromkeys(sweeps, SWEEP.name) | dict.fromkeys(comparisons, COMPARISON.name)
        shown = ShownBenchmark(name=benchmark, task=self._task(benchmark), rows=self.rows(benchmark), shared=shared)
        return json.dumps(shown.model_dump())

    def _task(self, benchmark: str) -> str:
        return self.plan.benchmarks[benchmark].task


def rows_as_json(rows: Iterable[TableRow]) -> str:
    """Rows as the commands take them; not sorted, since a sweep's last setting is its x-axis."""
    return json.dumps([row.model_dump() for row in rows])
