"""What tables and figures there are: one entry each. To add one is to add its entry, here or in a task's task.yaml.

An entry names the files that it is made of, so that the workflow knows its inputs, and the function that makes it.
Nothing heavy is imported here: the workflow reads it before any work starts.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from latent3d.base.errors import UserError
from latent3d.base.layout import ENERGIES, LEDGER, MEASURES, RUN, SAMPLES, Layout
from latent3d.base.validation import suggest
from latent3d.reporting.rows import TableRow

OF_SAMPLES = (SAMPLES, ENERGIES, MEASURES, LEDGER, RUN)
STAGE_RUN, STAGE_LOG = "{stage}.run.json", "{stage}.log.csv"
RECONSTRUCTION, INTERPOLATION = "reconstruction.json", "interpolation.parquet"
Need = Literal[
    "samples.parquet", "energies.parquet", "measures.parquet", "ledger.csv", "run.json",
    "{stage}.run.json", "{stage}.log.csv", "reconstruction.json", "interpolation.parquet",
]  # fmt: skip


class Entry(BaseModel):
    """A table (results/table_{name}_{benchmark}.csv) or a figure (results/fig_{name}_{benchmark}.svg).

    Attributes:
        name: in its file's name, and what `latent3d table` and `latent3d figure` call it.
        title: its heading in the report; `{figure}` is the name of a sweep or comparison.
        caption: what it shows, without the full stop. `{rows}` and `{settings}` are those of a sweep or comparison.
        maker: `module:function`. The function takes a `material.Material` and gives a DataFrame, or a figure.
        needs: files that it is made of, of every row: of samples (samples.parquet, energies.parquet, measures.parquet,
            ledger.csv, run.json), of each trained stage ({stage}.run.json, {stage}.log.csv), or of what a row's codec
            does (reconstruction.json, interpolation.parquet). Where no row has the first, it is not made.
        variants: of the samples, those that it shows; all if None.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    caption: str
    maker: str
    needs: tuple[Need, ...]
    variants: tuple[str, ...] | None = None


def files_behind(entry: Entry, benchmark: str, rows: Iterable[TableRow], layout: Layout) -> list[str]:
    """The files that a table or figure of these rows is made of, each once; none where it is not made."""
    rows = list(rows)
    by_need = [list(_files(need, entry, benchmark, rows, layout)) for need in entry.needs]
    return list(dict.fromkeys(file for files in by_need for file in files)) if by_need and by_need[0] else []


def _files(need: str, entry: Entry, benchmark: str, rows: list[TableRow], layout: Layout) -> Iterator[str]:
    for row in rows:
        # What a submission cost is not known.
        if need in OF_SAMPLES and not (need == RUN and row.submission):
            variants = [v for v in row.variants if entry.variants is None or v in entry.variants]
            for seed in row.train_seeds:
                yield from (layout.of_samples(benchmark, row.name, seed, variant, need) for variant in variants)
        elif need in (STAGE_RUN, STAGE_LOG):
            for seed in row.train_seeds:
                for stage, owner in row.stages.items():
                    yield layout.trained(row.dataset, owner, seed, need.format(stage=stage))
        elif need == RECONSTRUCTION and row.autoencoder:
            yield from (layout.trained(row.dataset, row.name, seed, need) for seed in row.train_seeds)
        elif need == INTERPOLATION and row.interpolation:
            yield layout.trained(row.dataset, row.name, row.train_seeds[0], need)


def choose(kind: str, name: str, known: Mapping[str, Entry]) -> Entry:
    """The known table or figure of a name.

    Raises:
        UserError: there is none.
    """
    if name not in known:
        raise UserError(f"There is no {kind} {name!r}. Choose one of: {', '.join(known)}.")
    return known[name]


def entries(known: Mapping[str, Entry], listed: Iterable[str | Entry], where: str) -> dict[str, Entry]:
    """The entries that a task lists, by name: those known by that name, or its own.

    Raises:
        UserError: a name is not known; `where` says where it stands.
    """
    found = {}
    for item in listed:
        if isinstance(item, str) and item not in known:
            raise UserError(f"{where}: there is no {item!r}.{suggest(item, known)}")
        entry = known[item] if isinstance(item, str) else item
        found[entry.name] = entry
    return found


def _by_name(*listed: Entry) -> dict[str, Entry]:
    return {entry.name: entry for entry in listed}


TABLES = _by_name(
    Entry(
        name="quality",
        title="Quality",
        caption="Quality of samples: stability and validity under the papers' protocol and under ours, uniqueness, "
        "novelty, PoseBusters, distances of bond lengths, angles and torsions; failures by reason. Rates are percent "
        "of all requested samples. Published values stand beside ours with their protocol",
        maker="latent3d.reporting.tables:quality_table",
        needs=(MEASURES,),
    ),
    Entry(
        name="distribution",
        title="Distributions, similarity and novelty of parts",
        caption="Distances of molecular weight, logP, TPSA, QED and SA to the training molecules, size-matched and "
        "not; FCD, similarity, parts that no training molecule has",
        maker="latent3d.reporting.tables:distribution_table",
        needs=(MEASURES,),
    ),
    Entry(
        name="energy",
        title="Energies (GFN2-xTB, MMFF94s)",
        caption="GFN2-xTB energies beside the test molecules', energies and displacements of relaxation, MMFF94s "
        "strain, survival of dynamics; failures by reason",
        maker="latent3d.reporting.tables:energy_table",
        needs=(MEASURES,),
    ),
    Entry(
        name="autoencoder",
        title="Autoencoders (held-out reconstruction)",
        caption="Reconstruction of held-out molecules by every autoencoder: exact graphs, RMSD, stereocentres, sizes "
        "of the latents",
        maker="latent3d.reporting.tables:autoencoder_table",
        needs=(RECONSTRUCTION,),
    ),
    Entry(
        name="cost",
        title="Cost",
        caption="Size of the weights, training time with autoencoders, time per sample, peak memory, device",
        maker="latent3d.reporting.tables:cost_table",
        needs=(RUN, STAGE_RUN),
    ),
)

FIGURES = _by_name(
    Entry(
        name="quality",
        title="Stability and validity, raw and after MMFF94",
        caption="Stability and validity of every row as bars, raw and after MMFF94; dashed: the row of test molecules",
        maker="latent3d.reporting.figures:quality_figure",
        needs=(MEASURES,),
    ),
    Entry(
        name="energy",
        title="Energy per atom",
        caption="Distributions of the GFN2-xTB energy per atom, raw and after MMFF94, with what lies outside and what "
        "failed",
        maker="latent3d.reporting.energy_figures:energy_figure",
        needs=(ENERGIES,),
    ),
    Entry(
        name="relaxation",
        title="Energy lost in relaxation",
        caption="Share of samples that lose at most so much energy when they relax with GFN2-xTB, raw and after MMFF94",
        maker="latent3d.reporting.energy_figures:relaxation_figure",
        needs=(ENERGIES,),
    ),
    Entry(
        name="properties",
        title="Properties of valid samples",
        caption="Molecular weight, logP, TPSA, QED and SA of the strictly valid among the first 1,000 raw samples of "
        "every row; outline: test molecules",
        maker="latent3d.reporting.distribution_figures:properties_figure",
        needs=(LEDGER,),
        variants=("raw",),
    ),
    Entry(
        name="cost_quality",
        title="Quality over the cost of training",
        caption="Quality of raw samples over the wall time of training, autoencoders included, one mark per device; "
        "hollow: published, where time, device and quality under the same protocol are known",
        maker="latent3d.reporting.cost_figure:cost_quality_figure",
        needs=(STAGE_RUN, MEASURES),
    ),
    Entry(
        name="samples",
        title="Samples as generated",
        caption="The first samples of every row, not chosen: graph above, geometry below",
        maker="latent3d.reporting.drawings:samples_figure",
        needs=(SAMPLES,),
    ),
    Entry(
        name="interpolation",
        title="Between the codes of two molecules",
        caption="What is decoded on the straight path between the codes of two test molecules, for pairs drawn at "
        "random: graph above, geometry below",
        maker="latent3d.reporting.drawings:interpolation_figure",
        needs=(INTERPOLATION,),
    ),
    Entry(
        name="reconstruction",
        title="Reconstruction of test molecules",
        caption="Share of test molecules that an autoencoder reconstructs within an RMSD, given their graphs; dotted: "
        "with the codes of other molecules",
        maker="latent3d.reporting.distribution_figures:reconstruction_figure",
        needs=(RECONSTRUCTION,),
    ),
    Entry(
        name="training",
        title="Training curves",
        caption="Training losses of every stage",
        maker="latent3d.reporting.figures:training_figure",
        needs=(STAGE_LOG,),
    ),
)

SWEEP = Entry(
    name="sweep",
    title="Sweep: {figure}",
    caption="Quality of {rows}, varied over {settings}; filled: the rows of the tables",
    maker="latent3d.reporting.figures:sweep_figure",
    needs=(MEASURES, RECONSTRUCTION),
    variants=("raw",),
)
COMPARISON = Entry(
    name="comparison",
    title="Comparison: {figure}",
    caption="Stability side by side, raw and after MMFF94: {rows}",
    maker="latent3d.reporting.figures:comparison_figure",
    needs=(MEASURES,),
)
SHARED_FIGURES = _by_name(SWEEP, COMPARISON)
"""Figures of sweeps and comparisons, which have the names that the configuration gives them."""
