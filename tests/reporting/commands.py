"""The command line, as the workflow calls it."""

import subprocess
import sys


def latent3d(*arguments):
    command = [sys.executable, "-m", "latent3d.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def shown(folder):
    """Tables and figures of `toy` in a folder."""
    return sorted([*folder.glob("table_*toy.csv"), *folder.glob("fig_*_toy.svg")])
