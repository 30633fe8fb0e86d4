"""A stand-in for conda: answers what Snakemake asks, and makes environments that install nothing.

An environment is a `python` that runs this one, refuses to import what the package depends on but the environment does
not name, and writes down which command ran in it.
"""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {"matplotlib-base": "matplotlib", "pytorch": "torch", "tblite-python": "tblite"}
"""Names on the Python package index of packages that conda-forge calls otherwise."""

IMPORT_NAMES = {"pyyaml": "yaml", "lightning-fabric": "lightning_fabric"}

HOOK = """
import sys

class Refuse:
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in {missing!r}:
            raise ModuleNotFoundError("envs/{name}.yaml does not name " + name, name=name)

sys.meta_path.insert(0, Refuse)
if "latent3d.cli" in sys.orig_argv:
    with open({log!r}, "a") as log:
        log.write(sys.orig_argv[sys.orig_argv.index("latent3d.cli") + 1] + " {name}\\n")
"""


class StandIn:
    """A folder with the stand-in; its commands find it on PATH."""

    def __init__(self, folder):
        self.folder = folder
        programs = folder / "conda" / "bin"
        programs.mkdir(parents=True)
        (programs / "activate").write_text('export PATH="$1/bin:$PATH" CONDA_PREFIX="$1"\n')
        main = f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        (programs / "conda").write_text(f"{main}import stand_in\nstand_in.conda({str(folder)!r})\n")
        (programs / "conda").chmod(0o755)
        # Without PYTHONPATH, as Snakemake takes it away itself: what runs is the package of this checkout.
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "PATH": f"{programs}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(folder / "cache"),
        }

    def snakemake(self, *arguments):
        """Run `snakemake --use-conda` in the folder; returns the finished process."""
        command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--use-conda", *arguments]
        return self._run(command)

    def python(self, name, *arguments):
        """Run Python inside the environment envs/{name}.yaml."""
        make_environment(self.folder, ROOT / "envs" / f"{name}.yaml", self.folder / name)
        return self._run([str(self.folder / name / "bin" / "python"), *arguments])

    def ran(self):
        """{(command of latent3d, environment it ran in)}."""
        return {tuple(line.split()) for line in (self.folder / "ran").read_text().splitlines()}

    def _run(self, command):
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)


def conda(folder):
    """What the command `conda` does: the calls of Snakemake 9 (snakemake/deployment/conda.py), and no other."""
    match sys.argv[1:]:
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": f"{folder}/conda", "platform": "linux-64"}))
        case ["--version"]:
            print("conda 24.7.1")
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["env", "create", "--quiet", "--no-default-packages", "--file", file, "--prefix", prefix]:
            make_environment(Path(folder), Path(file), Path(prefix))
        case ["clean", "-y", "--tarballs"]:
            pass
        case unknown:
            sys.exit(f"the stand-in for conda does not know: {unknown}")


def make_environment(folder, file, prefix):
    """Make the environment of a file, which Snakemake names by a hash: it is known by what it says."""
    name = next(path.stem for path in (ROOT / "envs").glob("*.yaml") if path.read_text() == file.read_text())
    missing = {IMPORT_NAMES.get(name, name) for name in depends_on() - named_in(yaml.safe_load(file.read_text()))}
    for place in ("bin", "hook"):
        (prefix / place).mkdir(parents=True)
    (prefix / "hook" / "sitecustomize.py").write_text(HOOK.format(missing=missing, name=name, log=str(folder / "ran")))
    python = f'#!/bin/sh\nPYTHONPATH="{prefix}/hook:$PYTHONPATH" exec "{sys.executable}" "$@"\n'
    (prefix / "bin" / "python").write_text(python)
    (prefix / "bin" / "python").chmod(0o755)


def depends_on():
    """Names of all packages in pyproject.toml, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]
    return {Requirement(text).name for text in texts}


def named_in(content):
    """Names on the Python package index of what an environment installs, by conda or by pip."""
    conda = [text.split()[0] for text in content["dependencies"] if isinstance(text, str)]
    pip = [Requirement(text).name for part in content["dependencies"] if isinstance(part, dict) for text in part["pip"]]
    return {CONDA_NAMES.get(name, name) for name in conda} | set(pip)
