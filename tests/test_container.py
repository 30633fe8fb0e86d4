"""The container recipe and the workflow of GitHub, as far as they can be tested without Docker and GitHub.

Nothing here proves that the image builds: that needs a Docker daemon and a network.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
KNOWN = {"FROM", "RUN", "WORKDIR", "COPY", "ARG", "ENV", "CMD"}


def instructions():
    """(name, words) of every instruction of the Dockerfile, continued lines joined."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text()).replace("\\\n", " ")
    return [(line.split()[0], shlex.split(line)[1:]) for line in text.splitlines() if line.strip()]


def copied():
    """(source, destination) of everything that is copied."""
    return [(source, words[-1]) for name, words in instructions() if name == "COPY" for source in words[:-1]]


def commands():
    return [" ".join(words) for name, words in instructions() if name == "RUN"]


def pythons_in_ci():
    return workflow()["strategy"]["matrix"]["python"]


def workflow():
    return yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())["jobs"]["test"]


def tracked(path):
    # Also where the checkout belongs to another user, as in GitHub's containers.
    command = ["git", "-c", "safe.directory=*", "ls-files", path]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.splitlines()


def test_the_dockerfile_installs_the_lock_and_nothing_else():
    assert {name for name, _ in instructions()} <= KNOWN
    installed = [command for command in commands() if "pip install" in command]
    assert len(installed) == 2
    assert installed[0].endswith("-r requirements.lock")
    # The lock has setuptools, which builds the package; its dependencies are not resolved again.
    assert "--no-deps --no-build-isolation -e ." in installed[1]
    assert "setuptools==" in (ROOT / "requirements.lock").read_text()


def test_python_is_one_of_those_that_ci_runs():
    (image,) = [words[0] for name, words in instructions() if name == "FROM"]
    version, distribution = re.fullmatch(r"python:(\d+\.\d+)-slim-(\w+)", image).groups()
    requires = SpecifierSet(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"])
    assert version in pythons_in_ci()
    assert pythons_in_ci() == [v for v in ("3.10", "3.11", "3.12", "3.13") if v in requires]
    assert workflow()["container"] == f"python:${{{{ matrix.python }}}}-{distribution}"


def test_everything_that_is_copied_is_in_the_repository_and_not_ignored():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    for source, _ in copied():
        assert (ROOT / source).exists() and source.split("/")[0] in allowed, source
    assert allowed == {source.split("/")[0] for source, _ in copied()}


def test_what_is_copied_is_enough_to_plan_the_demo_as_the_image_does(tmp_path):
    if shutil.which("git") is None or not tracked("Snakefile"):
        pytest.skip("not a git repository")
    image, work = tmp_path / "opt" / "latent3d", tmp_path / "work"
    work.mkdir()
    # Tracked files alone: what else lies here may not be there where the image is built.
    for source, destination in copied():
        for file in tracked(source):
            # Files go into `./`, a folder becomes the destination.
            target = image / (file if destination == "./" else destination / Path(file).relative_to(source))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, target)
    (run,) = [words for name, words in instructions() if name == "CMD"]
    command = [word.strip("[],") for word in run]
    assert command[0] == "snakemake"
    arguments = [word.replace("/opt/latent3d", str(image)) for word in command[1:]]
    environment = {**os.environ, "PYTHONPATH": str(image / "src"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments, "-n", "--quiet", "rules"],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"profile {image}/profiles/default" in done.stdout + done.stderr
    assert re.search(r"^report +1$", done.stdout + done.stderr, re.MULTILINE)


def test_github_runs_what_every_machine_runs():
    (run,) = [step for step in workflow()["steps"] if "run" in step]
    assert run["run"] == ".ci/run" and os.access(ROOT / ".ci" / "run", os.X_OK)
    script = (ROOT / ".ci" / "run").read_text()
    assert "make test" in script and "make demo" in script
    # As root in Debian, it installs the programs that tests look for.
    (installed,) = re.findall(r"apt-get install -y --no-install-recommends (.*?)\)", script)
    assert set(installed.split()) == {"xtb", "slurm-wlm", "munge", "chromium"}
    # `PYTHON` is what the Makefile tries first.
    assert run["env"] == {"PYTHON": "python"} and "for candidate in $(PYTHON)" in (ROOT / "Makefile").read_text()
