"""Reading requests: the body within its limit, strict JSON, the query. A fault is a refusal that names the field."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from tenfold.kit.refusals import Invalid, Malformed, TooLarge
from tenfold.platform.http.problems import BodyTooSlow, UnsupportedMediaType, invalid_from

T = TypeVar("T")
Receive = Callable[[], Any]
Headers = dict[bytes, bytes]
BODY_WITHIN = 60.0


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


async def read_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The whole body. Raises `TooLarge` as soon as it is known to pass the limit, `ClientGone` when it never comes.

    It has a minute to come, else `BodyTooSlow`.
    """
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(int(declared), limit)
    try:
        async with asyncio.timeout(BODY_WITHIN):
            return await _read_all(receive, limit)
    except TimeoutError:
        raise BodyTooSlow from None


async def _read_all(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        more = message.get("more_body", False)
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise _too_large(size, limit)
    return b"".join(chunks)


def must_fit(body: bytes, limit: int) -> None:
    """Raise `TooLarge` when a body that is here already passes the limit."""
    if len(body) > limit:
        raise _too_large(len(body), limit)


def _too_large(size: int, limit: int) -> TooLarge:
    return TooLarge(f"The body has {size} bytes or more, this door takes {limit}.", size=size, limit=limit)


def decode_body(body: bytes, decoder: "msgspec.json.Decoder[T]", headers: Headers) -> T:
    """Read strict JSON: one value of the expected shape, no duplicate key, no NUL, no lone surrogate."""
    content_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if content_type not in (b"application/json", b""):
        raise UnsupportedMediaType(f"This was {content_type.decode('latin-1')}.")
    coding = headers.get(b"content-encoding", b"identity").strip().lower()
    if coding not in (b"identity", b""):
        raise UnsupportedMediaType("Send it as it is, without Content-Encoding.")
    if not body:
        raise Invalid("body", "is required")
    try:
        json.loads(body, object_pairs_hook=_strict_object, parse_constant=_no_constant)
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid_from(error, "body") from None
    except (ValueError, RecursionError) as error:  # json's and msgspec's decoding errors, and undecodable UTF-8
        raise Malformed(f"The body is not valid JSON: {_reason(error)}.") from None


def _reason(error: Exception) -> str:
    """What is wrong, without any of the text that was sent (it may hold a secret)."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 at byte {error.start}"
    return str(error) if isinstance(error, msgspec.DecodeError) else "it holds a number that is too long"


def _strict_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Invalid(f"body.{_printable(key)}", "is given twice")
        _must_be_text(key, key)
        if isinstance(value, str):
            _must_be_text(key, value)
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, str):
                    _must_be_text(key, item)
        found[key] = value
    return found


def _must_be_text(key: str, value: str) -> None:
    if "\x00" in value:
        raise Invalid(f"body.{_printable(key)}", "contains a NUL character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Invalid(f"body.{_printable(key)}", "contains half of a surrogate pair") from None


def _printable(key: str) -> str:
    return key[:64].encode("ascii", "backslashreplace").decode().replace("\x00", "\\x00")


def _no_constant(name: str) -> float:
    raise Malformed(f"The body is not valid JSON: {name} is not a JSON number.")


def decode_query(query: bytes, shape: type[T]) -> T:
    """Read the query string into a Struct; texts become numbers, booleans and ids as the shape says."""
    values: dict[str, str] = {}
    if query:
        try:
            pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
        except ValueError:
            raise Malformed("The query string is not valid.") from None
        for name, value in pairs:
            if name in values:
                raise Invalid(f"query.{_printable(name)}", "is given twice")
            if "\x00" in value:
                raise Invalid(f"query.{_printable(name)}", "contains a NUL character")
            values[name] = value
    try:
        return msgspec.convert(values, shape, strict=False)
    except msgspec.ValidationError as error:
        raise invalid_from(error, "query") from None
