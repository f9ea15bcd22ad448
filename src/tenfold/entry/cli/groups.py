"""Groups of commands, and how their help is printed: plain text, with a little colour on a terminal."""

import os
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class _Help(TyperGroup.context_class.formatter_class):
    """Headings in bold, names in colour; `typer.echo` drops both where there is no terminal."""

    def write_heading(self, heading: str) -> None:
        super().write_heading(_styled(heading, bold=True))

    def write_dl(self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl([(_styled(name, fg="cyan"), text) for name, text in rows], col_max, col_spacing)


def _styled(text: str, **style: Any) -> str:
    return text if os.environ.get("NO_COLOR") else typer.style(text, **style)


class _Context(TyperGroup.context_class):
    formatter_class = _Help


class Command(TyperCommand):
    """A command with our help."""

    context_class = _Context


class Group(TyperGroup):
    """A group of commands with our help. Rich's is left out: to import it would take longer than all the rest."""

    context_class = _Context


def group(name: str, sentence: str) -> typer.Typer:
    """A new group of commands."""
    return typer.Typer(
        name=name,
        help=sentence,
        cls=Group,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
