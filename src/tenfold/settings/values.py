"""Kinds of values: spans, sizes, rates and lists as people write them, and how they are written back."""

import json
import re
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, SecretStr

T = TypeVar("T")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")
_RATE = re.compile(r"\s*(\d{1,9})\s*/\s*(.+)")
_SIZES = (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024))


class RateText(NamedTuple):
    """So many calls per span, written `50/1m`."""

    calls: int
    period: timedelta


def read_span(value: object) -> object:
    """A span from `10m`, `1.5h`, `500ms`, or from a plain number of seconds."""
    if isinstance(value, bool):
        raise ValueError("not a span")
    if isinstance(value, int | float):
        return timedelta(seconds=value)
    if not isinstance(value, str):
        return value
    match = _SPAN.fullmatch(value)
    seconds = float(match[1]) * _UNITS[match[2]] if match else float(value)
    return timedelta(seconds=seconds)


def read_list(value: object) -> object:
    """A list from one, from JSON's text of one, or from a text with commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [item.strip() for item in value.split(",") if item.strip()]


def read_rate(value: object) -> object:
    """A rate from `50/1m`."""
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    period = read_span(match[2])
    if not isinstance(period, timedelta) or period <= timedelta() or int(match[1]) < 1:
        raise ValueError("not a rate")
    return RateText(int(match[1]), period)


def _positive(span: timedelta) -> timedelta:
    if span <= timedelta():
        raise ValueError("must be longer than nothing")
    return span


def _at_home(path: Path) -> Path:
    return path.expanduser()


Span = Annotated[timedelta, BeforeValidator(read_span), AfterValidator(_positive)]
Rate = Annotated[RateText, BeforeValidator(read_rate)]
Size = Annotated[ByteSize, Field(ge=1024)]
Texts = Annotated[tuple[str, ...], BeforeValidator(read_list)]
Numbers = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(read_list), Field(min_length=1)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(read_list)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(read_list)]
Folder = Annotated[Path, AfterValidator(_at_home)]


def written(value: Any) -> str:
    """A value as one would write it in the environment; a secret is only said to be set."""
    if value is None:
        return "(none)"
    if isinstance(value, SecretStr):
        return "(set)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return _span_text(value)
    if isinstance(value, ByteSize):
        return next((f"{value // size}{unit}" for unit, size in _SIZES if value % size == 0), str(int(value)))
    if isinstance(value, RateText):
        return f"{value.calls}/{_span_text(value.period)}"
    if isinstance(value, dict):
        return ", ".join(f"{key} = {written(item)}" for key, item in value.items()) or "(empty)"
    if isinstance(value, tuple | list):
        return ", ".join(written(item) for item in value) or "(empty)"
    return str(value)


def _span_text(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit in ("d", "h", "m", "s"):
        if seconds >= _UNITS[unit] and seconds % _UNITS[unit] == 0:
            return f"{seconds / _UNITS[unit]:g}{unit}"
    return f"{seconds * 1000:g}ms"
