"""The pages in docs/: what is generated is as it would be made now, and their commands work."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from latent3d.data.molecules.parquet import read_parquet
from latent3d.data.molecules.sdf import write_sdf
from latent3d.reporting.catalogue import FIGURES, TABLES

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
FILE = re.compile(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^(<!-- run -->\n)?```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_page_of_results_is_what_the_workflow_makes():
    spec = importlib.util.spec_from_file_location("make_results", ROOT / "docs" / "make_results.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    page = (ROOT / "docs" / "results.md").read_text()
    assert page == maker.page(), "renew: python docs/make_results.py"
    for name in list(TABLES)[1:]:
        assert f"`results/table_{name}_{{benchmark}}.csv`" in page
    for name in FIGURES:
        assert f"`results/fig_{name}_{{benchmark}}.svg`" in page


def test_every_page_is_in_the_index_and_every_link_leads_somewhere():
    index = (ROOT / "docs" / "README.md").read_text()
    for page in PAGES:
        assert page.name == "README.md" or f"]({page.name})" in index
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists() or target == "cluster.md", f"{page.name}: {target}"


@pytest.fixture
def checkout(tmp_path):
    """A copy of the repository with small files of molecules of a user, and a shell whose `latent3d` is that copy's."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in ("src", "workflow", "config", "profiles"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, copy / name)
    (copy / "resources").symlink_to(ROOT / "resources")
    molecules = read_parquet(ROOT / "resources" / "mini.parquet")
    write_sdf(copy / "my_training.sdf", molecules.take(range(0, 4000, 100)))
    write_sdf(copy / "my_molecules.sdf", molecules.take(range(0, 4000, 100)))
    write_sdf(copy / "my_samples.sdf", molecules.take(range(7, 4000, 500)))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in (("latent3d", "latent3d.cli"), ("snakemake", "snakemake")):
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m {module} "$@"\n')
        (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": f"{copy / 'src'}:{os.environ.get('PYTHONPATH', '')}",
        "LATENT3D_CACHE": str(tmp_path / "cache"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }

    def shell(commands):
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands], cwd=copy, env=environment, capture_output=True, text=True
        )

    shell.folder = copy
    return shell


RUN = [page for page in PAGES if any(marked for marked, _ in COMMANDS.findall(page.read_text()))]


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_commands_marked_as_run_do(checkout, page):
    text = page.read_text()
    for name, content in FILE.findall(text):
        path = checkout.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    for marked, commands in COMMANDS.findall(text):
        if marked:
            done = checkout(commands)
            assert done.returncode == 0, f"{page.name}: {commands}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@cache
def options(command):
    """Options that a latent3d command has."""
    done = subprocess.run(
        [sys.executable, "-m", "latent3d.cli", command, "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "300"},
    )
    assert done.returncode == 0, f"there is no command latent3d {command}"
    return set(re.findall(r"--[a-z0-9-]+", done.stdout))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_other_commands_have_options_that_exist(page):
    for marked, commands in COMMANDS.findall(page.read_text()):
        for line in [] if marked else commands.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["latent3d"]:
                unknown = {word.split("=")[0] for word in words[2:] if word.startswith("--")} - options(words[1])
                assert not unknown, f"{page.name}: {line}: {unknown}"
