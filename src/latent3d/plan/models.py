"""What may stand in config.yaml: the models behind it and behind its schema."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    WithJsonSchema,
    field_validator,
    model_validator,
)


def _unique(values: list[Any]) -> list[Any]:
    if any(value in values[:place] for place, value in enumerate(values)):
        raise ValueError("every entry may stand here once")
    return values


Geometry = Literal["raw", "mmff"]
Precision = Literal["32-true", "bf16-mixed"]
Seeds = Annotated[list[NonNegativeInt], Field(min_length=1), AfterValidator(_unique)]
Count = NonNegativeInt | Literal["all"]
Names = Annotated[list[str], Field(min_length=1), AfterValidator(_unique)]
Values = Annotated[list[Any], Field(min_length=1), AfterValidator(_unique)]
# Of a union of both, only the first choice would be named in an error.
FileNames = Annotated[
    Names,
    BeforeValidator(lambda names: [names] if isinstance(names, str) else names),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dataset(_Strict):
    """One dataset; a subset is a dataset of its own, so that small and full runs never share a path."""

    source: Literal["mini", "qm9", "file"] = Field("file", description="mini (embedded), qm9, or file (your own)")
    file: str | None = Field(None, description="molecule file of source: file (Parquet, SDF or multi-XYZ)")
    split: Literal["column"] | tuple[float, float, float] = Field(
        "column",
        description="`column` of the file, or the shares of train, valid and test, drawn with seed 0: all rows of one "
        "molecule (conformers, stereoisomers) share a split",
    )
    train_size: PositiveInt | None = Field(None, description="keep this many training molecules (seeded draw)")
    test_size: PositiveInt | None = Field(None, description="keep this many validation and test molecules")
    preset: str = Field("default", description="which preset of every system's defaults.yaml is used")
    rows: Names | None = Field(None, description="rows of this dataset's tables; all rows if absent")
    train_seeds: Seeds | None = None
    sample_seeds: Seeds | None = None
    sample_count: PositiveInt | None = None

    @field_validator("split", mode="before")
    @classmethod
    def _column_or_three_shares(cls, split: Any) -> Any:
        # Said here: of a union, only the first choice would be named.
        shares = isinstance(split, list | tuple) and len(split) == 3 and all(isinstance(x, int | float) for x in split)
        if split != "column" and not shares:
            raise ValueError("give `column`, or the shares of train, valid and test as [0.8, 0.1, 0.1]")
        return split

    @model_validator(mode="after")
    def _file_belongs_to_source_file(self) -> "Dataset":
        if (self.source == "file") != (self.file is not None):
            raise ValueError("`file` must be given for source: file, and only there")
        if isinstance(self.split, tuple) and (abs(sum(self.split) - 1) > 1e-6 or min(self.split) < 0):
            raise ValueError("the shares in `split` must be positive and sum to 1")
        return self


class Benchmark(_Strict):
    """A task on a dataset, beside unconditional generation, which every dataset is by itself."""

    task: str = Field(description="name of the folder under tasks/")
    dataset: str = Field(description="whose molecules are trained on and compared with")
    settings: dict[str, Any] = Field(default_factory=dict, description="what the task's requests are made with")
    rows: Names | None = Field(None, description="rows of this benchmark's tables; all that know the task if absent")
    train_seeds: Seeds | None = None
    sample_seeds: Seeds | None = None
    sample_count: PositiveInt | None = None


class Row(_Strict):
    """One line of the tables: a system, or a named variant of one."""

    base: str = Field(description="name of the folder under systems/")
    overrides: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="hyper-parameters that differ from the defaults: {stage: {name: value}}"
    )
    samples_of: str | None = Field(None, description="row whose samples this row starts from (control rows)")
    variants: Names | None = Field(
        None,
        description="what is done to the samples: raw (as made), mmff (after MMFF94)...; all of the task if absent",
    )
    published: dict[str, str] | None = Field(
        None, description="system id in the table of published numbers, by variant; those of the system if absent"
    )


class Sweep(_Strict):
    """Variants of rows whose quality is drawn over one setting: results/fig_{sweep}_{benchmark}.svg."""

    benchmarks: list[str] = Field(description="benchmarks on which the sweep is made; [] for none")
    rows: Names = Field(description="rows that are varied")
    vary: dict[str, Values] = Field(
        min_length=1, description="{stage.hyper-parameter: values}: every combination is a variant; x-axis: the last"
    )


class Submission(_Strict):
    """Molecules that another program made: a row of the tables of some benchmarks."""

    file: FileNames = Field(description="molecule file with coordinates, or a list of files: one per sampling seed")
    benchmarks: Names = Field(description="benchmarks in whose tables the row stands")
    variants: Names = Field(["raw"], description="raw, and mmff for the row after MMFF94 as well")
    published: dict[str, str] = Field(
        default_factory=dict, description="system id in the table of published numbers, by variant"
    )


class Metrics(_Strict):
    """What `latent3d score` measures beside what it always does."""

    posebusters: Count = Field("all", description="samples of each set that get PoseBusters' quick tests (seeded draw)")
    energy_ratio: Count = Field(
        1000, description="those of them that get its energy-ratio test, which takes most of a second each"
    )
    fcd: bool = Field(True, description="whether to compute the Fréchet ChemNet distance")


class Energy(_Strict):
    """What `latent3d energy` computes of each set of samples beside single points: `all`, or a number (seeded draw)."""

    relaxation: Count = Field("all", description="samples relaxed with GFN2-xTB; about 50 ms each")
    strain: Count = Field("all", description="samples that get an MMFF94s strain energy; about 20 ms each")
    dynamics: Count = Field(100, description="samples that get 10 ps of MMFF94s dynamics; about 0.5 s each")
    gfn2_dynamics: Count = Field(10, description="samples that get 10 ps of GFN2-xTB dynamics; about a minute each")
    shards: PositiveInt = Field(1, description="jobs over which the energies of a row are spread (a cluster)")


class Configuration(_Strict):
    """The whole of config.yaml."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Precision = "32-true"
    weights: Literal["train", "released"] = "train"
    train_seeds: Seeds = [0]
    sample_seeds: Seeds = [0, 1, 2]
    sample_count: PositiveInt = 10000
    sample_shards: PositiveInt = Field(1, description="jobs over which the sampling of a row is spread (a cluster)")
    all: Names = Field(description="benchmarks whose tables and figures `all` makes")
    datasets: dict[str, Dataset]
    benchmarks: dict[str, Benchmark] = Field(default_factory=dict)
    rows: dict[str, Row]
    submissions: dict[str, Submission] = Field(default_factory=dict)
    sweeps: dict[str, Sweep] = Field(default_factory=dict)
    comparisons: dict[str, Names] = Field(
        default_factory=dict, description="rows side by side in fig_{name}_{benchmark}"
    )
    metrics: Metrics = Metrics()
    energy: Energy = Energy()
