"""Refusals: the typed 4xx (and 503) answers of the product. The class name is the code, its docstring the message."""

import inspect
from collections.abc import Mapping
from typing import ClassVar


class Refusal(Exception):
    """The request was refused."""

    status: ClassVar[int] = 400

    def __init__(self, detail: str | None = None, /, *, retry_after: float | None = None, **extra: object) -> None:
        """`detail` says what this one is about; `extra` becomes members of the problem document."""
        super().__init__(detail or self.title())
        self.detail = detail
        self.retry_after = retry_after
        self.extra: Mapping[str, object] = extra

    @classmethod
    def code(cls) -> str:
        """The stable name of this refusal."""
        return cls.__name__

    @classmethod
    def title(cls) -> str:
        """The sentence that says what is wrong, the same for every occurrence."""
        return inspect.cleandoc(cls.__doc__ or "").split("\n", 1)[0]


class Malformed(Refusal):
    """The request could not be read."""

    status = 400


class NotSignedIn(Refusal):
    """This needs a valid access token."""

    status = 401


class TokenIsExpired(NotSignedIn):
    """This needs a valid access token."""

    # To callers of doors it is `NotSignedIn`; an open socket needs to know that a new token would do.
    @classmethod
    def code(cls) -> str:
        """The code of `NotSignedIn`."""
        return NotSignedIn.code()


class SessionIsOver(NotSignedIn):
    """This needs a valid access token."""

    # To callers of doors it is `NotSignedIn`; where people sign in, a token that was good once is no hindrance.
    @classmethod
    def code(cls) -> str:
        """The code of `NotSignedIn`."""
        return NotSignedIn.code()


class Forbidden(Refusal):
    """You may not do this."""

    status = 403


class SecondFactorDue(Forbidden):
    """An administrator needs a second factor for this: enrol one at /v1/me/totp, then refresh the access token."""


class NotFound(Refusal):
    """There is no such thing here."""

    status = 404


class Conflict(Refusal):
    """This does not fit the present state."""

    status = 409


class TooLarge(Refusal):
    """The request body is larger than this door accepts."""

    status = 413


class Unprocessable(Refusal):
    """The request was read, but what it asks for is not acceptable."""

    status = 422


class TooManyRequests(Refusal):
    """Too many requests; wait, then try again."""

    status = 429


class Unavailable(Refusal):
    """A part of the system is away for the moment; try again shortly."""

    status = 503


class Invalid(Malformed):
    """The request has a field that is not acceptable."""

    def __init__(self, field: str, problem: str, /) -> None:
        """`field` is the path of the field at fault (`body.handle`, `query.cursor`), `problem` what is wrong."""
        super().__init__(f"{field}: {problem}", errors=[{"field": field, "problem": problem}])


class CannotStart(Exception):
    """A process cannot begin its work. The message is one sentence: what is wrong, with what, and what to do."""
