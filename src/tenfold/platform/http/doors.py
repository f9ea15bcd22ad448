"""The declaration of doors. What a declared door does with a request is in `endpoint`; how it is routed, in `app`."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar

import msgspec

from tenfold.kit.actors import Role
from tenfold.kit.refusals import Refusal
from tenfold.platform.limits import Rate

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
LimitClass = Literal["read", "write", "sign_in", "costly", "free"]


class Client(msgspec.Struct, frozen=True):
    """Who is at the other end of the connection: the address as limits count it, and what calls itself."""

    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Extra:
    """A limit of one door beside the class's: `Extra("mail", 50, timedelta(minutes=1))`. Settings may change it."""

    name: str
    calls: int
    period: timedelta

    @property
    def rate(self) -> Rate:
        """The rate as declared here."""
        return Rate(self.calls, self.period)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Door:
    """One HTTP door: where it is, who may use it, what it costs and what it refuses."""

    function: Callable[..., Awaitable[Any]]
    method: Method
    path: str
    limit: LimitClass
    cost: int
    refuses: Sequence[type[Refusal]]
    status: int
    roles: Sequence[Role]
    extras: Sequence[Extra]
    idempotent: bool
    public_for: timedelta | None
    etag: bool
    body_limit: int

    @property
    def name(self) -> str:
        """`METHOD /path`, as metrics and `tenfold show routes` print it."""
        return f"{self.method} {self.path}"

    @property
    def tag(self) -> str:
        """The module that the door belongs to."""
        return self.function.__module__.split(".modules.")[-1].split(".")[0]

    @property
    def description(self) -> str:
        """The docstring of the function."""
        return inspect.cleandoc(self.function.__doc__ or "")

    def __call__(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Call the function itself, as if it were not declared."""
        return self.function(*args, **kwargs)


def _declare(method: Method, status: int) -> Callable[..., Callable[[Callable[..., Awaitable[Any]]], Door]]:
    def declare(
        path: str,
        *,
        limit: LimitClass,
        refuses: Sequence[type[Refusal]] = (),
        cost: int = 1,
        status: int = status,
        roles: Sequence[Role] = (),
        extras: Sequence[Extra] = (),
        idempotent: bool | None = None,
        public_for: timedelta | None = None,
        etag: bool | None = None,
        body_limit: int = 64 * 1024,
    ) -> Callable[[Callable[..., Awaitable[Any]]], Door]:
        """Declare a door. `path` is relative to `/v1`; parameters are `{name:uuid}` or `{name:str}`.

        `limit` is the class whose budget pays `cost`. `roles` (any of) hide the door from everybody else: 404.
        `idempotent` (default: on POST) honours `Idempotency-Key`. `public_for` keeps the answer to anonymous
        readers that long. `etag` (default: on GET) answers 304 to a client that has the same body.
        """
        return lambda function: Door(
            function=function,
            method=method,
            path=path,
            limit=limit,
            cost=cost,
            refuses=tuple(refuses),
            status=status,
            roles=tuple(roles),
            extras=tuple(extras),
            idempotent=method == "POST" if idempotent is None else idempotent,
            public_for=public_for,
            etag=method == "GET" if etag is None else etag,
            body_limit=body_limit,
        )

    return declare


class door:  # noqa: N801 - used as a namespace: `@door.post(...)`
    """Declares doors: `@door.get`, `post` (201), `put`, `patch`, `delete` (204)."""

    get = staticmethod(_declare("GET", 200))
    post = staticmethod(_declare("POST", 201))
    put = staticmethod(_declare("PUT", 204))
    patch = staticmethod(_declare("PATCH", 200))
    delete = staticmethod(_declare("DELETE", 204))
