"""The catalogue: every setting by its full name, with its type in words, its default and its sentence."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ByteSize, SecretStr
from pydantic.fields import FieldInfo

from tenfold.settings.root import NESTING, PREFIX, Settings
from tenfold.settings.values import RateText, written

_WORDS: Mapping[object, str] = {
    bool: "true or false",
    int: "number",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "secret",
    ByteSize: "size (`64KiB`, `10MiB`)",
    timedelta: "span (`30s`, `10m`, `14d`)",
    RateText: "rate (`50/1m`)",
    IPv4Network: "network (`10.0.0.0/8`)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting, as documentation and `tenfold show settings` print it. `current` never holds a secret."""

    name: str
    type: str
    default: str
    current: str
    source: str
    sentence: str

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return variable_of(self.name)


@cache
def known_fields() -> Mapping[str, FieldInfo]:
    """Every setting's declaration by its full name (`http.port`), in the order of the documentation."""
    return dict(_fields_of(Settings, ""))


def _fields_of(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields_of(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def variable_of(name: str) -> str:
    """The environment variable of a setting: `http.port` is `TENFOLD_HTTP__PORT`."""
    return PREFIX + name.upper().replace(".", NESTING)


def is_table(name: str) -> bool:
    """Whether a setting is a table of names that people choose (`limits.extras`)."""
    return get_origin(known_fields()[name].annotation) is dict


def type_of(name: str) -> str:
    """The type of a setting in words, with its bounds."""
    field = known_fields()[name]
    return _type_words(field.annotation) + _bounds(field) + _lengths(field)


def _type_words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if origin in (Union, UnionType):
        return _type_words(next(kind for kind in arguments if kind is not type(None)))
    if origin is tuple:
        return f"list of {_plural(_type_words(arguments[0]))}"
    if origin is dict:
        return f"table of {_plural(_type_words(arguments[1]))}"
    if hasattr(annotation, "__metadata__"):
        return _type_words(arguments[0])
    return _WORDS[annotation]


def _plural(words: str) -> str:
    word, bracket, example = words.partition(" (")
    return f"{word}s{bracket}{example}"


def _bounds(field: FieldInfo) -> str:
    known = {name: getattr(rule, name) for rule in field.metadata for name in ("ge", "le") if hasattr(rule, name)}
    if field.annotation is ByteSize or not known:
        return ""
    if "le" not in known:
        return f", at least {known['ge']:g}"
    return f", {known['ge']:.9g} to {known['le']:.9g}"


def _lengths(field: FieldInfo) -> str:
    known = {
        name: getattr(rule, name)
        for rule in field.metadata
        for name in ("min_length", "max_length")
        if hasattr(rule, name)
    }
    if "max_length" in known:
        return f", {known.get('min_length', 0)} to {known['max_length']} characters"
    return f", at least {known['min_length']} characters" if known.get("min_length", 1) > 1 else ""


def default_of(name: str) -> str:
    """The default of a setting, as one would write it."""
    field = known_fields()[name]
    if isinstance(field.json_schema_extra, dict):
        return str(field.json_schema_extra["default"])
    return written(field.default)


def describe(settings: Settings | None = None) -> list[Setting]:
    """Every setting with its present value and where that is from; secrets are only said to be set."""
    settings = settings or Settings()
    return [
        Setting(
            name=name,
            type=type_of(name),
            default=default_of(name),
            current=written(value_of(settings, name)),
            source=settings.origin_of(name),
            sentence=field.description or "",
        )
        for name, field in known_fields().items()
    ]


def value_of(settings: Settings, name: str) -> Any:
    """The value of a setting by its full name."""
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value
