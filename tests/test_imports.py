"""The floors of the house: an import goes down the list or stays in its room."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "latent3d"
FLOORS = (
    *("cli", "commands", "plan", "reporting", "tasks", "systems", "judges", "evaluation", "calculations", "training"),
    *("diffusion", "nets", "graphs", "data", "base"),
)


FILES = pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))


def imports(file):
    """(module, name or None) of every import in a file."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a module is named in full"
            yield from ((node.module, name.name) for name in node.names)
        elif isinstance(node, ast.Import):
            yield from ((name.name, None) for name in node.names)


def rooms_imported(file):
    """Names of the rooms that a file imports from."""
    for module, name in imports(file):
        package, *rest = [*module.split("."), *([name] if name else [])]
        if package == "latent3d" and rest and not rest[0].startswith("__"):
            yield rest[0]


@FILES
def test_imports_go_down(file):
    place = file.relative_to(PACKAGE).parts
    if len(place) == 1:
        assert place == ("__init__.py",)  # nothing lies beside the rooms
        return
    upward = {room for room in rooms_imported(file) if FLOORS.index(room) < FLOORS.index(place[0])}
    assert not upward, f"{'/'.join(place)} imports from {', '.join(sorted(upward))}, above it"


@FILES
def test_private_names_stay_in_their_module(file):
    ours = [(module, name) for module, name in imports(file) if module.split(".")[0] == "latent3d"]
    private = [f"{module}.{name}" for module, name in ours if re.search(r"(^|\.)_[^_]", f"{module}.{name}")]
    assert not private, f"{file.relative_to(PACKAGE)} takes {', '.join(private)}"


@FILES
def test_the_package_knows_nothing_of_snakemake(file):
    assert all(module.split(".")[0] != "snakemake" for module, _ in imports(file))


def test_every_room_is_on_the_list():
    rooms = {folder.name for folder in PACKAGE.iterdir() if folder.is_dir() and folder.name != "__pycache__"}
    assert rooms <= set(FLOORS)


@pytest.mark.parametrize("module", ["latent3d.plan", "latent3d.reporting.catalogue", "latent3d.cli"])
def test_the_plan_needs_no_torch(module):
    code = f"import sys, {module}; sys.exit(any(name in sys.modules for name in ('torch', 'matplotlib', 'pandas')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
