"""The root of the command line: every command and group, and the end of the process when one fails."""

import sys
from typing import Annotated

import typer

from tenfold import __version__
from tenfold.entry.cli import jobs, mail, show, start, user
from tenfold.entry.cli.failures import FAILED, sentence_of
from tenfold.entry.cli.groups import Command, group

app = group("tenfold", "An application backend that grows with its users.")

for command in (start.serve, start.web, start.gateway, start.worker, start.migrate, start.sample):
    app.command(cls=Command)(command)
for commands in (show.app, user.app, mail.app, jobs.app):
    app.add_typer(commands)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tenfold {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """An application backend that grows with its users."""


def main() -> None:
    """Run the command line of this process, and end it with the exit code."""
    try:
        app(prog_name="tenfold")
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        typer.echo(f"tenfold: {sentence}", err=True)
        sys.exit(FAILED)
