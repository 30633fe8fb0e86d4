"""What is run: the models behind config.yaml. Unknown keys and impossible values are refused in plain sentences.

The Snakefile and the command line both read configuration through `parse_configuration`; the JSON schema of
`Configuration` is the workflow's schema. Importing this module never imports torch.
"""

import difflib
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from latent3d.errors import UserError


def _unique(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("every entry may stand here once")
    return values


Geometry = Literal["raw", "mmff"]
Precision = Literal["32-true", "bf16-mixed"]
Seeds = Annotated[list[NonNegativeInt], Field(min_length=1), AfterValidator(_unique)]
Geometries = Annotated[list[Geometry], Field(min_length=1), AfterValidator(_unique)]
Count = NonNegativeInt | Literal["all"]
Names = Annotated[list[str], Field(min_length=1), AfterValidator(_unique)]
# Of a union of both, only the first choice would be named in an error.
FileNames = Annotated[
    Names,
    BeforeValidator(lambda names: [names] if isinstance(names, str) else names),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
TABLES = ("quality", "distribution", "energy", "autoencoder", "cost")
"""results/table_{name}_{dataset}.csv, of quality table_{dataset}.csv"""
FIGURES = ("quality", "energy", "relaxation", "samples", "training")
"""results/fig_{name}_{dataset}.svg; sweeps have figures of their own names"""
Model = TypeVar("Model", bound=BaseModel)


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


class Row(_Strict):
    """One line of the tables: a system, or a named variant of one."""

    base: str = Field(description="name of the folder under systems/")
    overrides: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="hyper-parameters that differ from the defaults: {stage: {name: value}}"
    )
    samples_of: str | None = Field(None, description="row whose samples this row starts from (control rows)")
    weights_of: str | None = Field(None, description="row whose trained weights this row samples with")
    geometries: Geometries = Field(["raw", "mmff"], description="raw, and after MMFF94 (at most 200 iterations)")
    published: dict[Geometry, str] | None = Field(
        None, description="system id in the table of published numbers, by geometry; those of the system if absent"
    )


class Sweep(_Strict):
    """Variants of rows whose quality is drawn over one setting: results/fig_{sweep}_{dataset}.svg."""

    datasets: list[str] = Field(description="datasets on which the sweep is made; [] for none")
    rows: Names = Field(description="rows that are varied")
    vary: Annotated[
        dict[str, Annotated[list[Any], Field(min_length=1), AfterValidator(_unique)]], Field(min_length=1)
    ] = Field(description="{stage.hyper-parameter: values}: every combination is a variant; the last is drawn over")


class Submission(_Strict):
    """Molecules that another program made: a row of the tables of some datasets."""

    file: FileNames = Field(description="molecule file with coordinates, or a list of files: one per sampling seed")
    datasets: Names = Field(description="datasets in whose tables the row stands")
    geometries: Geometries = Field(["raw"], description="raw, and mmff for the row after MMFF94 as well")
    published: dict[Geometry, str] = Field(
        default_factory=dict, description="system id in the table of published numbers, by geometry"
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
    train_seeds: Seeds = [0]
    sample_seeds: Seeds = [0, 1, 2]
    sample_count: PositiveInt = 10000
    all: Names = Field(description="datasets whose tables and figures `all` makes")
    datasets: dict[str, Dataset]
    rows: dict[str, Row]
    submissions: dict[str, Submission] = Field(default_factory=dict)
    sweeps: dict[str, Sweep] = Field(default_factory=dict)
    metrics: Metrics = Metrics()
    energy: Energy = Energy()


class SystemDefaults(_Strict):
    """A system's defaults.yaml: the only thing the DAG knows about it.

    `stages` maps each trained stage, in order, to the stages it needs. `hyperparameters` maps stage names (and
    `sampling`) to their defaults; a preset overrides some of them for one kind of dataset; `choices` lists the words
    that `stage.name` may be. `autoencoder` says whether the system can reconstruct molecules (`latent3d reconstruct`).
    `published` maps a geometry to the system id in the table of published numbers.
    """

    stages: dict[str, list[str]]
    autoencoder: bool = False
    hyperparameters: dict[str, dict[str, Any]]
    presets: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    choices: dict[str, list[str]] = Field(default_factory=dict)
    published: dict[Geometry, str] = Field(default_factory=dict)


def parse_configuration(raw: Mapping[str, Any]) -> Configuration:
    """Check a configuration mapping.

    Raises:
        UserError: names the wrong key, its close matches, and what is allowed.
    """
    configuration = _validate(Configuration, raw, "config.yaml")
    _check_references(configuration)
    return configuration


def parse_dataset(raw: Any, where: str) -> Dataset:
    """Check the settings of one dataset; `where` names their place in the error (as `parse_configuration`)."""
    return _validate(Dataset, raw, where)


@cache
def system_defaults(system: str) -> SystemDefaults:
    """Read systems/<system>/defaults.yaml.

    Raises:
        UserError: there is no such system, or its file breaks the contract.
    """
    path = resources.files("latent3d.systems") / system / "defaults.yaml"
    if not path.is_file():
        raise UserError(f"There is no system {system!r}.{_suggest(system, system_names())}")
    return _validate(SystemDefaults, yaml.safe_load(path.read_text()), f"systems/{system}/defaults.yaml")


def system_names() -> list[str]:
    """Names of all systems: the folders under systems/ that have a defaults.yaml."""
    folder = resources.files("latent3d.systems")
    return sorted(entry.name for entry in folder.iterdir() if (entry / "defaults.yaml").is_file())


def hyperparameters(row: Row, stage: str, preset: str) -> dict[str, Any]:
    """The hyper-parameters of one stage (or of `sampling`) of a row: defaults, then preset, then overrides.

    Raises:
        UserError: an override or preset names a stage or hyper-parameter that the system does not have.
    """
    defaults = system_defaults(row.base)
    merged = dict(defaults.hyperparameters.get(stage, {}))
    for name, layer in ((f"preset {preset!r}", defaults.presets.get(preset, {})), ("overrides", row.overrides)):
        for wrong in sorted(set(layer) - set(defaults.hyperparameters)):
            raise UserError(
                f"{name} of system {row.base!r} names the stage {wrong!r}." + _suggest(wrong, defaults.hyperparameters)
            )
        for wrong in sorted(set(layer.get(stage, {})) - set(merged)):
            raise UserError(
                f"{name} of system {row.base!r}, stage {stage!r}: unknown hyper-parameter {wrong!r}."
                + _suggest(wrong, merged)
            )
        for key, value in layer.get(stage, {}).items():
            value = _checked_value(f"{name} of system {row.base!r}, {stage}.{key}", value, merged[key])
            allowed = defaults.choices.get(f"{stage}.{key}")
            if allowed and value not in allowed:
                raise UserError(f"{name} of system {row.base!r}, {stage}.{key}: {value!r}.{_suggest(value, allowed)}")
            merged[key] = value
    return merged


def for_dataset(configuration: Configuration, dataset: str, key: str) -> Any:
    """A setting that a dataset may override: train_seeds, sample_seeds, sample_count or rows."""
    value = getattr(configuration.datasets[dataset], key)
    if value is not None:
        return value
    return list(configuration.rows) if key == "rows" else getattr(configuration, key)


@dataclass(frozen=True)
class Variant:
    """A row that a sweep makes of another: `of` with the `settings` {stage.hyper-parameter: value}."""

    of: str
    settings: dict[str, Any]
    row: Row


def variants(configuration: Configuration, sweep: str) -> dict[str, Variant]:
    """The rows of a sweep by name, e.g. `edm-ddim-50`. Those that vary sampling alone use the weights of their row.

    Only raw samples are drawn, and only the metrics that need no energies are measured.
    """
    vary = configuration.sweeps[sweep].vary
    found = {}
    for of in configuration.sweeps[sweep].rows:
        row = configuration.rows[of]
        for values in itertools.product(*vary.values()):
            overrides = {stage: dict(settings) for stage, settings in row.overrides.items()}
            for key, value in zip(vary, values, strict=True):
                stage, _, name = key.partition(".")
                overrides.setdefault(stage, {})[name] = value
            trained_anew = any(not key.startswith("sampling.") for key in vary)
            weights_of = None if trained_anew else row.weights_of or of
            changed = {"overrides": overrides, "weights_of": weights_of, "geometries": ["raw"], "published": {}}
            settings = dict(zip(vary, values, strict=True))
            found["-".join([of, *map(str, values)])] = Variant(of, settings, row.model_copy(update=changed))
    return found


def autoencoder_stages(system: str) -> list[str]:
    """The stages that another stage needs: what encodes and decodes. The last stage only generates codes."""
    stages = system_defaults(system).stages
    return [stage for stage in stages if any(stage in needs for needs in stages.values())]


def check_precision(name: str) -> None:
    """Raise UserError unless `name` is one of the precisions that the configuration may say."""
    if name not in get_args(Precision):
        raise UserError(f"precision: {name!r} is not one of {', '.join(get_args(Precision))}.")


def check_stage(system: str, stage: str, needs: Iterable[str]) -> None:
    """Check a stage's name and that exactly the weights it needs are given.

    Raises:
        UserError: what is unknown or missing, and what is allowed.
    """
    stages = system_defaults(system).stages
    if stage not in stages:
        raise UserError(f"System {system!r} has no stage {stage!r}.{_suggest(stage, stages)}")
    check_weights(f"stage {stage!r} of system {system!r}", needs, stages[stage])


def check_weights(what: str, given: Iterable[str], needed: Iterable[str]) -> None:
    """Raise UserError unless the names of the given weights are those needed."""
    if sorted(given) != sorted(needed):
        wanted = ", ".join(f"{name}=FILE" for name in needed) or "none"
        raise UserError(f"Weights for {what}: got {', '.join(sorted(given)) or 'none'}; give {wanted}.")


def _checked_value(where: str, value: Any, default: Any) -> Any:
    """A hyper-parameter in the type of its default; a count is at least 1, and no number is negative."""
    number = isinstance(default, int | float) and not isinstance(default, bool)
    if number and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise UserError(f"{where}: {value!r} is not a number (the default is {default!r}).")
    if not number and type(value) is not type(default):
        raise UserError(f"{where}: {value!r} is not of the same type as the default {default!r}.")
    if number and not 0 <= value < float("inf"):
        raise UserError(f"{where}: {value!r} must be a number of at least 0.")
    if isinstance(default, int) and number and (value != int(value) or value < min(default, 1)):
        raise UserError(f"{where}: {value!r} must be a whole number of at least {min(default, 1)}.")
    # 2.0 layers are 2, and 1 and 1.0 are one configuration.
    return type(default)(value) if number else value


def _check_references(configuration: Configuration) -> None:
    for name in configuration.all:
        if name not in configuration.datasets:
            raise UserError(f"config key all: there is no dataset {name!r}.{_suggest(name, configuration.datasets)}")
    for key, names in (("rows", configuration.rows), ("submissions", configuration.submissions)):
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", name):
                raise UserError(f"config key {key}.{name}: use letters, digits and _ . + - in a row's name.")
    for name, submission in configuration.submissions.items():
        if name in configuration.rows:
            raise UserError(f"config key submissions.{name}: there is a row of that name already. Choose another.")
        for dataset in submission.datasets:
            if dataset not in configuration.datasets:
                raise UserError(
                    f"config key submissions.{name}.datasets: there is no dataset {dataset!r}."
                    + _suggest(dataset, configuration.datasets)
                )
    for name, row in configuration.rows.items():
        system_defaults(row.base)
        if row.samples_of is not None and row.samples_of not in configuration.rows:
            raise UserError(
                f"config key rows.{name}.samples_of: there is no row {row.samples_of!r}."
                + _suggest(row.samples_of, configuration.rows)
            )
        if row.samples_of is not None and configuration.rows[row.samples_of].samples_of is not None:
            raise UserError(
                f"config key rows.{name}.samples_of: {row.samples_of!r} starts from the samples of another row itself. "
                "Name a row that makes its own."
            )
        if row.weights_of is not None:
            _check_weights_of(name, row, configuration)
    for name, sweep in configuration.sweeps.items():
        _check_sweep(name, sweep, configuration)
    for name, dataset in configuration.datasets.items():
        if not name.isidentifier():
            raise UserError(f"config key datasets.{name}: use letters, digits and underscores in a dataset's name.")
        for table in TABLES:
            if name.startswith(f"{table}_"):
                raise UserError(
                    f"config key datasets.{name}: a dataset's name cannot begin with {table}_, or table_{name}.csv "
                    f"could be the {table} table of {name.removeprefix(f'{table}_')!r}. Give it another name."
                )
        for row in dataset.rows or []:
            if row not in configuration.rows:
                raise UserError(
                    f"config key datasets.{name}.rows: there is no row {row!r}." + _suggest(row, configuration.rows)
                )
        known_presets = {"default"}.union(*(system_defaults(r.base).presets for r in configuration.rows.values()))
        if dataset.preset not in known_presets:
            raise UserError(
                f"config key datasets.{name}.preset: no system has a preset {dataset.preset!r}."
                + _suggest(dataset.preset, known_presets)
            )


def _check_weights_of(name: str, row: Row, configuration: Configuration) -> None:
    where = f"config key rows.{name}.weights_of:"
    if row.weights_of not in configuration.rows:
        raise UserError(f"{where} there is no row {row.weights_of!r}.{_suggest(row.weights_of, configuration.rows)}")
    owner = configuration.rows[row.weights_of]
    if owner.weights_of is not None or not system_defaults(owner.base).stages:
        raise UserError(f"{where} {row.weights_of!r} trains nothing itself. Name a row that does.")
    stages = [stage for stage in {*row.overrides, *owner.overrides} if stage != "sampling"]
    if row.base != owner.base or any(row.overrides.get(stage) != owner.overrides.get(stage) for stage in stages):
        raise UserError(f"{where} the row differs from {row.weights_of!r} in more than overrides of `sampling`.")


def _check_sweep(name: str, sweep: Sweep, configuration: Configuration) -> None:
    where = f"config key sweeps.{name}"
    if not name.isidentifier() or name in FIGURES:
        raise UserError(f"{where}: use letters, digits and underscores, and none of {', '.join(FIGURES)}.")
    for key, values, known in (
        ("datasets", sweep.datasets, configuration.datasets),
        ("rows", sweep.rows, configuration.rows),
    ):
        for value in values:
            if value not in known:
                raise UserError(f"{where}.{key}: there is no {key[:-1]} {value!r}.{_suggest(value, known)}")
    for key in sweep.vary:
        if "." not in key:
            raise UserError(f"{where}.vary: {key!r} must have the form stage.hyper-parameter, e.g. sampling.steps.")
    for variant in variants(configuration, name):
        if variant in configuration.rows:
            raise UserError(f"{where}: its variant {variant!r} has the name of a row. Rename the row.")


def _validate(model: type[Model], raw: Any, where: str) -> Model:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        # An unknown key first: it is often the misspelt one that is said to be missing.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        raise UserError(_sentence(first, model, where)) from error


def _sentence(error: Mapping[str, Any], model: type[BaseModel], where: str) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "(top level)"
    if error["type"] == "extra_forbidden":
        wrong = str(error["loc"][-1])
        return f"{where}: unknown key {key!r}.{_suggest(wrong, _allowed_keys(model, error['loc']))}"
    if error["type"] == "missing":
        return f"{where}: key {key!r} is missing. Add it; config.yaml in the repository explains every key."
    return f"{where}: key {key!r}: {error['msg']} (got {error['input']!r})."


def _allowed_keys(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    parts: dict[str, type[BaseModel]] = {
        "datasets": Dataset,
        "rows": Row,
        "submissions": Submission,
        "sweeps": Sweep,
    }
    if model is Configuration and location[0] in parts and len(location) > 2:
        return list(parts[location[0]].model_fields)
    sections: dict[str, type[BaseModel]] = {"metrics": Metrics, "energy": Energy}
    if model is Configuration and location[0] in sections and len(location) > 1:
        return list(sections[location[0]].model_fields)
    return list(model.model_fields)


def _suggest(wrong: str, allowed: Any) -> str:
    allowed = sorted(allowed)
    close = difflib.get_close_matches(wrong, allowed, n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return f"{meant} Allowed: {', '.join(allowed)}."
