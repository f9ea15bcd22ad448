"""Output: tables that fold on a terminal and are cut nowhere, JSON for programs, progress for whoever waits."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

Row = Mapping[str, Any]


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201 - this is where the command line prints


def show(rows: Sequence[Row], *, as_json: bool = False, empty: str = "None.") -> None:
    """Print rows of the same names: JSON with the values as they are, or a table of their texts."""
    if as_json:
        show_json(rows)
    elif not rows:
        say(empty)
    else:
        lines = [[_text(value) for value in row.values()] for row in rows]
        (_folding if sys.stdout.isatty() else _aligned)(list(rows[0]), lines)


def show_one(row: Row, *, as_json: bool = False) -> None:
    """Print one thing, a line per name."""
    if as_json:
        show_json(row)
        return
    width = max(len(name) for name in row)
    for name, value in row.items():
        say(f"{name.replace('_', ' '):<{width}}  {_text(value)}")


def show_json(value: object) -> None:
    """Print a value as JSON, for eyes too."""
    import msgspec

    say(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode())


def _text(value: object) -> str:
    import msgspec

    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value) or "–"
    if isinstance(value, dict):
        return msgspec.json.encode(value, enc_hook=str).decode() if value else "–"
    return str(msgspec.to_builtins(value, enc_hook=str)).replace("\n", " ")


def _aligned(names: list[str], lines: list[list[str]]) -> None:
    """Columns of plain text, each as wide as its widest value, for files and pipes."""
    table = [[name.replace("_", " ") for name in names], *lines]
    widths = [max(len(line[column]) for line in table) for column in range(len(names))]
    say("\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in table))


def _folding(names: list[str], lines: list[list[str]]) -> None:
    """Columns that fold within the width of the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for line in lines:
        table.add_row(Text(line[0], style="cyan"), *map(Text, line[1:]))
    Console().print(table)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar per kind of thing, on a terminal; else a line for each kind when the work is over.

    Yields what is called after each batch: what was done, how many just now, and how many there will be.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    bars: dict[str, TaskID] = {}
    columns = TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    progress = Progress(*columns, console=console, disable=not console.is_terminal)

    def advance(what: str, count: int, total: int | None) -> None:
        if what not in bars:
            bars[what] = progress.add_task(what, total=total)
        progress.update(bars[what], advance=count)

    with progress:
        yield advance
    if not console.is_terminal:
        for task in progress.tasks:
            say(f"{task.description}: {task.completed:.0f}")
