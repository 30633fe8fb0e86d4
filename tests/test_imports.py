"""The floors of the house: an import goes down the list or stays in its room."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "latent3d"
FLOORS = (
    *("cli", "commands", "plan", "reporting", "tasks", "systems", "judges", "evaluation", "calculations", "training"),
    *("diffusion", "nets", "graphs", "data", "base"),
)


def rooms_imported(file):
    """Names of the rooms that a file imports from."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith("latent3d."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (name.name.split(".")[1] for name in node.names if name.name.startswith("latent3d."))


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_down(file):
    place = file.relative_to(PACKAGE).parts
    if len(place) == 1:
        assert place == ("__init__.py",)  # nothing lies beside the rooms
        return
    upward = {room for room in rooms_imported(file) if FLOORS.index(room) < FLOORS.index(place[0])}
    assert not upward, f"{'/'.join(place)} imports from {', '.join(sorted(upward))}, above it"


def test_every_room_is_on_the_list():
    rooms = {folder.name for folder in PACKAGE.iterdir() if folder.is_dir() and folder.name != "__pycache__"}
    assert rooms <= set(FLOORS)


@pytest.mark.parametrize("module", ["latent3d.plan", "latent3d.reporting.catalogue", "latent3d.cli"])
def test_the_plan_needs_no_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
