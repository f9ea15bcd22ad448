"""Options that several commands share, and the settings that they make."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tenfold.settings import Settings

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The settings file; else TENFOLD_CONFIG, else ./tenfold.toml."),
]
Data = Annotated[Path | None, typer.Option("--data", metavar="FOLDER", help="The data folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Host = Annotated[str | None, typer.Option("--host", metavar="ADDRESS", help="The address to listen on.")]
Port = Annotated[int | None, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100, help="How many to print at most.")]


def settings_of(
    config: Path | None, data: Path | None = None, *, secrets: bool = True, existing: bool = False, **more: object
) -> "Settings":
    """The settings of a command; `more` are from its own options, with `__` for the dot. Raises `BadSettings`.

    Without `secrets` nothing is generated, so that looking does not write. With `existing` there must be a database
    already: a command that only asks must not make an empty one in a folder that was mistyped. Raises `CannotStart`.
    """
    from tenfold.kit.refusals import CannotStart
    from tenfold.settings import load, with_secrets

    overrides: dict[str, object] = {name.replace("__", "."): value for name, value in more.items()}
    settings = load(config, {"data": data, **overrides})
    if existing and settings.database.url is None and not (settings.data / "postgres").exists():
        raise CannotStart(
            f"There is no database in {settings.data}; name its folder with --data, or `tenfold serve` first."
        )
    return with_secrets(settings) if secrets else settings
