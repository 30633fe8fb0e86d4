"""The one typer application that the modules of this folder add their commands to."""

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="""The `latent3d` command: what the workflow's rules call, and what users call without Snakemake.

Every command reads and writes the files of the data contract.""",
)
Option = typer.Option
Argument = typer.Argument


@app.callback()
def _common() -> None:
    """latent3d."""
