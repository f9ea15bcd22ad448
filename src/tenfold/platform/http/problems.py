"""Problems: how a refusal becomes an RFC 9457 document, and a decoding error a refusal that names its field."""

import re
from typing import Any

import msgspec

from tenfold.kit.refusals import (
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    NotSignedIn,
    Refusal,
    TooLarge,
    TooManyRequests,
    Unavailable,
    Unprocessable,
)

CONTENT_TYPE = b"application/problem+json"
_AT = re.compile(r"^(?P<problem>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<field>.*)`$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<field>.*)`$", re.DOTALL)


class UnknownPath(NotFound):
    """There is nothing at this address."""


class MethodNotAllowed(Refusal):
    """This address does not take that method."""

    status = 405


class UnsupportedMediaType(Refusal):
    """The body must be JSON: send it with Content-Type: application/json."""

    status = 415


class HeadTooLarge(Refusal):
    """The address and headers of this request are larger than 64 KB together."""

    status = 431


class HeadTooSlow(Refusal):
    """The address and headers of this request did not come in time."""

    status = 408


class BodyTooSlow(Refusal):
    """The body of this request did not come in time."""

    status = 408


class InternalError(Refusal):
    """Something went wrong on our side; it has been logged under the request id."""

    status = 500


class IdempotencyKeyReused(Unprocessable):
    """This Idempotency-Key was used before with another request."""


class IdempotencyKeyBusy(Conflict):
    """A request with this Idempotency-Key is still running."""


class EmailNotVerified(Forbidden):
    """This is for accounts with a verified e-mail address; follow the link in the mail, or ask for a new one."""


EVERYWHERE: tuple[type[Refusal], ...] = (
    Malformed,
    Invalid,
    NotSignedIn,
    TooManyRequests,
    Unavailable,
    InternalError,
)
"""Refusals that any door may answer with, beside those that it declares: a bad token opens not even a public one."""

WITH_BODY: tuple[type[Refusal], ...] = (TooLarge, BodyTooSlow, UnsupportedMediaType)
WITH_KEY: tuple[type[Refusal], ...] = (IdempotencyKeyReused, IdempotencyKeyBusy)
SIGNED_IN: tuple[type[Refusal], ...] = (EmailNotVerified,)


class Problem(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The problem document (RFC 9457): what went wrong, under a stable `code`."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str | None = None
    errors: list[dict[str, str]] | None = None
    request_id: str | None = None


def document(refusal: Refusal, request_id: str) -> bytes:
    """The body of the answer to a refused request."""
    members: dict[str, Any] = {
        "type": f"/problems/{refusal.code()}",
        "title": refusal.title(),
        "status": refusal.status,
        "code": refusal.code(),
        "request_id": request_id,
    }
    if refusal.detail:
        members["detail"] = refusal.detail
    return msgspec.json.encode({**members, **refusal.extra})


def invalid_from(error: msgspec.ValidationError, where: str) -> Invalid:
    """Name the field at fault: `where` is `body` or `query`, the rest is the path that msgspec reports."""
    match = _AT.match(str(error))
    problem, path = (match["problem"], match["path"] or "$") if match else (str(error), "$")
    for pattern, words in ((_UNKNOWN, "is not a field of this request"), (_MISSING, "is required")):
        found = pattern.match(problem)
        if found:
            return Invalid(f"{where}{path[1:]}.{found['field']}", words)
    return Invalid(f"{where}{path[1:]}", problem[:1].lower() + problem[1:])
