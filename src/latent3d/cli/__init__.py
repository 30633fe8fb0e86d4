"""The `latent3d` command: what the workflow's rules call, and what users call without Snakemake.

Every command reads and writes the files of the data contract. Modules are imported inside the commands, so that
`latent3d --help` and the light commands start fast.
"""

import os
import sys

# One thread per process unless told otherwise, set before numpy or torch is imported: parallelism is by process.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from latent3d.base.errors import StoppedEarly, UserError
from latent3d.cli import data, measure, models, report  # noqa: F401 (each adds its commands)
from latent3d.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence and exit code 2, never in a traceback."""
    try:
        app()
    except UserError as error:
        print(f"latent3d: {error}", file=sys.stderr)
        sys.exit(2)
    except StoppedEarly as stop:
        print(f"latent3d: {stop}", file=sys.stderr)
        sys.exit(75)
    except (KeyboardInterrupt, SystemExit) as end:
        # Typer makes exit code 130 of Ctrl-C, without a word.
        if isinstance(end, SystemExit) and end.code != 130:
            raise
        print("latent3d: interrupted; run the same command again to continue.", file=sys.stderr)
        sys.exit(130)
