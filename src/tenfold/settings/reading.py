"""Reading: the command line over the environment over `tenfold.toml` over the defaults, and every fault at once."""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from tenfold.settings.catalogue import is_table, known_fields, type_of, variable_of
from tenfold.settings.faults import BadSettings, kind_of
from tenfold.settings.root import NESTING, PREFIX, Settings

CONFIG = f"{PREFIX}CONFIG"
DEFAULT_FILE = Path("tenfold.toml")
_FILE = "_FILE"
_TESTS = f"{PREFIX}TEST_"
Table = dict[str, Any]


def load(
    config: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of this process. Raises `BadSettings` with every fault at once.

    `config` is the file to read (default: `TENFOLD_CONFIG`, else `./tenfold.toml` when there is one). `overrides` are
    values from the command line by full name (`http.port`); those that are None are left out.
    """
    environ = os.environ if environ is None else environ
    path = _config_path(config, environ)
    problems: list[str] = []
    variables = _variables(environ, problems)
    origins: dict[str, str] = {}
    merged: Table = {}
    for origin, table in (
        (str(path), _read_file(path) if path else {}),
        ("environment", _Environment(variables)()),
        ("command line", _nested({name: value for name, value in (overrides or {}).items() if value is not None})),
    ):
        problems += [_unknown(name, value, origin) for name, value in _leaves(table) if not _is_known(name)]
        problems += _misread_booleans(table, origin)
        origins |= {name: origin for name, _ in _leaves(table)}
        _lay_over(merged, table)
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        problems += _invalid(error, origins, merged)
    else:
        if not problems:
            return settings.came_from(origins)
    raise BadSettings(list(dict.fromkeys(problems)))


def _config_path(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    named = config or (Path(environ[CONFIG]) if environ.get(CONFIG) else None)
    if named is None:
        return DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    if not named.expanduser().is_file():
        raise BadSettings([f"there is no file {named} to read them from"])
    return named.expanduser()


def _read_file(path: Path) -> Table:
    try:
        return TomlConfigSettingsSource(Settings, path).toml_data
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings([f"{path} is not valid TOML: {error}"]) from None
    except OSError as error:
        raise BadSettings([f"{path} cannot be read: {error.strerror}"]) from None


class _Environment(EnvSettingsSource):
    """Reads the given variables instead of the process's own."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._variables.items()}


def _variables(environ: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    """Our variables, with the contents of the files that `…_FILE` names. Unknown ones are problems."""
    known = {variable_of(name): name for name in known_fields()}
    found: dict[str, str] = {}
    for variable, value in sorted(environ.items()):
        plain = variable.removesuffix(_FILE)
        if not variable.startswith(PREFIX) or variable == CONFIG or variable.startswith(_TESTS):
            continue
        if _belongs(variable, known):
            found[variable] = value
        elif plain != variable and _belongs(plain, known):
            if plain in environ:
                problems.append(f"{plain} and {variable} are both given; give one")
            elif (content := _content_of(variable, value, problems)) is not None:
                found[plain] = content
        else:
            problems.append(f"{variable} ({kind_of(value)}) is not a setting{_nearest(variable, known)}")
    return found


def _belongs(variable: str, known: Mapping[str, str]) -> bool:
    """Whether a variable is a setting, or an entry of one that is a table."""
    return variable in known or any(
        variable.startswith(setting + NESTING) and is_table(name) for setting, name in known.items()
    )


def _content_of(variable: str, path: str, problems: list[str]) -> str | None:
    try:
        return Path(path).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        problems.append(f"{variable} names a file that cannot be read: {reason}")
        return None


def _leaves(table: Table, prefix: str = "") -> Iterator[tuple[str, object]]:
    """The settings in a table by full name; a table under a name that is no section is a leaf itself."""
    for name, value in table.items():
        full = prefix + name
        if isinstance(value, dict) and any(known.startswith(f"{full}.") for known in known_fields()):
            yield from _leaves(value, f"{full}.")
        else:
            yield full, value


def _is_known(name: str) -> bool:
    return name in known_fields() or any(known.startswith(f"{name}.") for known in known_fields())


def _misread_booleans(table: Table, origin: str) -> Iterator[str]:
    """`port = true` would pass as 1: a truth value is only ever good for a setting that is one."""
    for name, value in _leaves(table):
        if isinstance(value, bool) and name in known_fields() and known_fields()[name].annotation is not bool:
            yield _ill_typed(name, kind_of(value), origin)


def _nested(flat: Mapping[str, object]) -> Table:
    table: Table = {}
    for name, value in flat.items():
        *sections, last = name.split(".")
        inner = table
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    return table


def _lay_over(under: Table, over: Table) -> None:
    for name, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(name), dict):
            _lay_over(under[name], value)
        else:
            under[name] = value


def _invalid(error: ValidationError, origins: Mapping[str, str], merged: Table) -> Iterator[str]:
    for fault in error.errors(include_url=False, include_context=False):
        name = _setting_at(fault["loc"])
        if fault["type"] == "extra_forbidden":
            continue  # named before, with its nearest known name
        kind = kind_of(fault["input"]) + _how_far(fault["type"])
        if name in known_fields():
            yield _ill_typed(name, kind, origins.get(name, "default"))
        else:
            yield f"{name} must be a table, and is {kind}, {_where(name, _origin_of_section(name, origins))}"


def _how_far(fault: str) -> str:
    if fault.endswith("too_short"):
        return " that is too short"
    if fault.endswith("too_long"):
        return " that is too long"
    if fault.startswith(("greater_than", "less_than")):
        return " outside of that"
    return " of another form or length" if fault.startswith("string_") and fault != "string_type" else ""


def _setting_at(location: tuple[int | str, ...]) -> str:
    """The setting that a fault is in: the longest known beginning of its location."""
    parts = [str(part) for part in location]
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in known_fields():
            return ".".join(parts[:length])
    return ".".join(parts)


def _origin_of_section(name: str, origins: Mapping[str, str]) -> str:
    return next((origin for known, origin in origins.items() if known == name), "default")


def _ill_typed(name: str, kind: str, origin: str) -> str:
    return f"{name} must be {_article(type_of(name))}, and is {kind}, {_where(name, origin)}"


def _article(words: str) -> str:
    return words if words.startswith(("`", "true")) else f"a {words}"


def _where(name: str, origin: str) -> str:
    if origin == "environment":
        return f"in {variable_of(name)}"
    return f"on the {origin}" if origin == "command line" else f"in {origin}"


def _unknown(name: str, value: object, origin: str) -> str:
    return f"{name} ({kind_of(value)}, {_where(name, origin)}) is not a setting{_nearest(name, known_fields())}"


def _nearest(name: str, known: Mapping[str, object]) -> str:
    """The known name that is most like this one, or the same last word in another section."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not close:
        last = name.rpartition(".")[2]
        close = [candidate for candidate in known if candidate.rpartition(".")[2] == last][:1]
    return f"; did you mean {close[0]}?" if close else ""
