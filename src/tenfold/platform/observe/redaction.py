"""Redaction: what a log line may say. Values under secret names and texts that look like credentials never leave it."""

import dataclasses
import functools
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

REDACTED = "[redacted]"
_DEEPEST = 8
_LONGEST_TEXT = 16_000
_MOST_ITEMS = 100

_SECRET_PARTS = (
    *("password", "passwd", "passphrase", "secret", "token", "authorization", "cookie", "credential"),
    *("apikey", "privatekey", "signingkey", "sealkey", "signature", "otp", "jwt", "pepper"),
)
_PLAIN_CODES = frozenset(
    f"{kind}code" for kind in ("status", "error", "exit", "close", "return", "country", "problem", "refusal", "zip")
)
_NOT_A_LETTER = re.compile(r"[^a-z0-9]")

_NAMES = r"(?:[\w.-]{0,40}(?:password|passwd|passphrase|secret|token|api_?key|credential|otp)[\w.-]{0,40}|code)"
_VALUE = r"""(?!\[redacted\])(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s&,;'"<>)\]}]+)"""
_SUSPECT = re.compile(
    r"(?i)eyj|tf[a-z]_|bearer|authorization|cookie|passw|passphrase|secret|token|api_?key|credential|otp|code|://"
    r"|detail:|query argument"
)
_MASKS = (
    # What the database and its client say of a bug quotes whole rows and arguments.
    (re.compile(r"(?m)^(DETAIL:\s+).+$"), rf"\1{REDACTED}"),
    (re.compile(r"(invalid input for query argument \$\d+: ).+?(?= \([^()]*\)$|$)", re.M), rf"\1{REDACTED}"),
    (re.compile(r"\beyJ[\w-]{4,}\.[\w-]+(?:\.[\w-]*)?"), REDACTED),
    (re.compile(r"\btf[a-z]_[\w-]{16,}"), REDACTED),
    (re.compile(r"(?i)\b(bearer)\s+[\w.~+/=-]{6,}"), rf"\1 {REDACTED}"),
    (re.compile(r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(['\"]?\s*[:=]\s*)[^\r\n]+"), rf"\1\2{REDACTED}"),
    (re.compile(rf"(?i)(?<![\w-])({_NAMES})(\s*=\s*|['\"]\s*:\s*){_VALUE}"), rf"\1\2{REDACTED}"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,30}://[^\s:/@]*):[^\s/@]+@"), rf"\1:{REDACTED}@"),
)


def is_secret_name(name: str) -> bool:
    """Whether a value under this name is never printed, however the name is written (`refreshToken`, `X-Api-Key`)."""
    plain = _NOT_A_LETTER.sub("", name.lower())
    if plain.endswith(("code", "codes")):
        return plain.removesuffix("s") not in _PLAIN_CODES
    return any(part in plain for part in _SECRET_PARTS)


def mask(text: str) -> str:
    """A text without the credentials in it: tokens, `password=…`, headers that carry one, passwords in addresses."""
    if len(text) > _LONGEST_TEXT:
        text = f"{text[:_LONGEST_TEXT]}… ({len(text)} characters)"
    if _SUSPECT.search(text):
        for pattern, instead in _MASKS:
            text = pattern.sub(instead, text)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def redact(value: Any, depth: int = 0) -> Any:
    """A printable copy of any value, of JSON's types only, with secrets masked at every depth."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, UUID | date | timedelta):
        return value.isoformat() if isinstance(value, datetime) else str(value)
    if depth >= _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return _redact_fields(value, depth)
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth + 1) for item in list(value)[:_MOST_ITEMS]]
    return _redact_object(value, depth)


def _redact_fields(fields: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    redacted: dict[str, Any] = {}
    for key, value in list(fields.items())[:_MOST_ITEMS]:
        name, is_secret = _known_name(_text_of(key))
        redacted[name] = REDACTED if is_secret and value is not None else redact(value, depth + 1)
    return redacted


@functools.lru_cache(maxsize=2048)
def _known_name(name: str) -> tuple[str, bool]:
    return mask(name), is_secret_name(name)


def _redact_object(value: Any, depth: int) -> Any:
    if isinstance(value, msgspec.Struct):
        return _redact_fields(msgspec.structs.asdict(value), depth)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return _redact_fields({name: getattr(value, name, None) for name in names}, depth)
    if isinstance(value, BaseException):
        return mask(f"{type(value).__name__}: {_text_of(value)}")
    if isinstance(value, bytes | bytearray | memoryview):
        return f"({len(value)} bytes)"
    return mask(_text_of(value))


def _text_of(value: Any) -> str:
    """The text of anything; a value that cannot say what it is must not break the line that mentions it."""
    try:
        return str(value)
    except Exception:
        return f"({type(value).__name__})"
