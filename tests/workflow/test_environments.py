"""The conda environments, as far as they can be tested without a network: syntax, pins, and what runs in which.

Whether conda-forge can solve them is not tested here.
"""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from stand_in import CONDA_NAMES, ROOT, StandIn

from latent3d.data.molecules.parquet import read_parquet
from latent3d.data.molecules.sdf import write_sdf

ENVIRONMENTS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "envs").glob("*.yaml"))}

# What these files use of conda's match specifications: a name, then one release (`=1.2` is 1.2 and 1.2.*) or a range.
VERSION = r"\d+(?:\.\d+)*"
DEPENDENCY = re.compile(
    rf"(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*) (?:=(?P<release>{VERSION})|(?P<range>>={VERSION}(?:,<{VERSION})?))"
)


TARGETS = [
    "results/table_mine.csv",
    "results/fig_quality_mine.svg",
    "results/mine/latent3d/train0/topology.safetensors",
]

CONFIGURATION = """
device: cpu
all: [mine]
datasets:
  mine: {source: file, file: mine.sdf, split: [0.6, 0.1, 0.3], preset: quick, sample_count: 3, rows: [data_test]}
sample_seeds: [0]
rows: {latent3d: {overrides: {topology: {steps: 2, warmup: 1}}}}
sweeps: {steps: {benchmarks: []}}
metrics: {posebusters: 2, energy_ratio: 0}
energy: {relaxation: 1, strain: 1, dynamics: 1, gfn2_dynamics: 0}
"""


def dependencies(environment):
    """{name on the Python package index: versions that the environment allows}, from conda and pip alike."""
    *conda, last = ENVIRONMENTS[environment]["dependencies"]
    pip = last["pip"] if isinstance(last, dict) else []
    found = {}
    for text in conda if pip else [*conda, last]:
        match = DEPENDENCY.fullmatch(text)
        assert match, f"envs/{environment}.yaml: {text!r} is not `name =1.2` or `name >=1.2,<2`"
        versions = f"=={match['release']}.*" if match["release"] else match["range"]
        found[CONDA_NAMES.get(match["name"], match["name"])] = SpecifierSet(versions)
    for text in pip:
        requirement = Requirement(text)
        found[canonicalize_name(requirement.name)] = requirement.specifier
    return found


def locked():
    """{name: version} of requirements.lock."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pins}


def declared():
    """{name: versions} of pyproject.toml, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]
    return {canonicalize_name(r.name): r.specifier for r in map(Requirement, texts)}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_files_hold_channels_and_sorted_dependencies_once(environment):
    content = ENVIRONMENTS[environment]
    assert list(content) == ["channels", "dependencies"]
    assert content["channels"] == ["conda-forge", "nodefaults"]
    names = [text.split()[0] for text in content["dependencies"] if isinstance(text, str)]
    assert names[0] == "python" and names[1:] == sorted(set(names[1:]))
    # pip is named where it is called, else conda warns.
    assert ("pip" in names) == isinstance(content["dependencies"][-1], dict)
    assert dependencies(environment)


def test_a_package_has_the_same_pin_in_every_file():
    pins = {}
    for environment in ENVIRONMENTS:
        for name, versions in dependencies(environment).items():
            pins.setdefault(name, set()).add(str(versions))
    assert {name: found for name, found in pins.items() if len(found) > 1} == {}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_pins_allow_the_lock_from_the_lower_bound_of_the_package_to_an_upper_one(environment):
    lock, project = locked(), declared()
    for name, versions in dependencies(environment).items():
        if name in ("python", "pip"):
            continue
        assert lock[name] in versions, f"{name}: the lock's {lock[name]} is not in {versions}"
        bounds = {bound.operator: str(bound) for bound in versions}
        if ">=" in bounds:
            assert bounds[">="] in map(str, project[name]), f"{name}: pyproject.toml says {project[name]}"
            assert "<" in bounds, f"{name} has no upper bound"


def test_python_is_one_that_the_package_supports():
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    for environment in ENVIRONMENTS:
        assert str(dependencies(environment)["python"]) == "==3.12.*"
    assert Version("3.12") in SpecifierSet(requires)


def test_rules_run_inside_their_environments_by_a_stand_in_for_conda(tmp_path):
    """Proves that every rule is wired to an environment, runs inside it with this checkout's package, and imports
    nothing that its environment does not name. Proves nothing about conda: the stand-in installs no package."""
    stand_in = StandIn(tmp_path)
    molecules = read_parquet(ROOT / "resources" / "mini.parquet")
    write_sdf(tmp_path / "mine.sdf", molecules.take(range(0, 4000, 200)))
    (tmp_path / "my.yaml").write_text(CONFIGURATION)
    done = stand_in.snakemake(*TARGETS, "--cores", "2", "--configfile", "my.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all((tmp_path / target).is_file() for target in TARGETS)
    expected = {
        **dict.fromkeys(["prepare", "requests", "relax", "table", "figure"], "base"),
        **dict.fromkeys(["train", "sample"], "train"),
        **dict.fromkeys(["reference", "score"], "score"),
        "energy": "energy",
    }
    assert stand_in.ran() == {(command, environment) for command, environment in expected.items()}


@pytest.mark.parametrize(("environment", "module", "there"), [("energy", "tblite", True), ("base", "torch", False)])
def test_the_stand_in_refuses_what_an_environment_does_not_name(tmp_path, environment, module, there):
    done = StandIn(tmp_path).python(environment, "-c", f"import {module}")
    assert (done.returncode == 0) == there, done.stderr
    assert there or f"envs/{environment}.yaml does not name {module}" in done.stderr
