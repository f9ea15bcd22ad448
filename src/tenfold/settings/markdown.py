"""The settings as a page of the documentation."""

from itertools import groupby

from tenfold.settings.catalogue import Setting, describe
from tenfold.settings.root import Settings

_HEAD = """\
# Settings

Written by `tenfold show settings --markdown`; do not edit it by hand.

A setting is given, from the strongest to the weakest, on the command line, in the environment
(`TENFOLD_HTTP__PORT=8080`), or in `tenfold.toml` (its path: `--config`, `TENFOLD_CONFIG`, or `./tenfold.toml`):

```toml
[http]
port = 8080
```

A variable whose name ends in `_FILE` names a file that holds the value (`TENFOLD_TOKENS__KEY_FILE=/run/secrets/key`).
In the environment a list is written with commas. An unknown name or a value of another type stops the start.
"""


def markdown() -> str:
    """The page: every setting with its variable, type, default and sentence, section by section."""
    parts = [_HEAD]
    for section, settings in groupby(describe(), key=lambda setting: setting.name.rpartition(".")[0]):
        parts.append(_section(section, list(settings)))
    return "\n".join(parts)


def _section(name: str, settings: list[Setting]) -> str:
    field = Settings.model_fields[name] if name else None
    head = (
        f"## {name}\n\n{(field.annotation.__doc__ or '').strip()}" if field and field.annotation else "## (no section)"
    )
    rows = [f"| `{s.name}` | {s.type} | {_code(s.default)} | {s.sentence} |" for s in settings]
    return "\n".join([head, "", "| setting | type | default | |", "|---|---|---|---|", *rows, ""])


def _code(default: str) -> str:
    return default if default.startswith("(") or " of " in default else f"`{default}`"
