"""The router: Litestar knows every door and the standing handlers; the common case finds its door more quickly."""

import re
from collections.abc import Iterable
from typing import Any

import structlog
from litestar import HttpMethod, Litestar, Request
from litestar.config.cors import CORSConfig
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from litestar.utils import normalize_path

from tenfold.kit.refusals import Malformed, Refusal
from tenfold.platform.http.answers import Answer
from tenfold.platform.http.doors import Door
from tenfold.platform.http.endpoint import Endpoint, refused
from tenfold.platform.http.gate import Gate
from tenfold.platform.http.problems import InternalError, MethodNotAllowed, UnknownPath
from tenfold.platform.http.routes import Routes
from tenfold.platform.parts import Parts

log = structlog.get_logger("tenfold.http")
PREFIX = "/v1"


class Router:
    """Every door (under `/v1`) and the extra handlers (as they are), each at its address."""

    def __init__(self, doors: Iterable[Door], parts: Parts, gate: Gate, extra: Iterable[HTTPRouteHandler] = ()) -> None:
        endpoints = [Endpoint(door, parts, gate) for door in doors]
        origins = gate.policy.cors_origins
        self._routes = Routes(PREFIX, endpoints)
        self._litestar = Litestar(
            route_handlers=[*_options(endpoints), *map(_route, endpoints), *extra],
            openapi_config=None,
            cors_config=_cors(origins) if origins else None,
            exception_handlers={Exception: _as_problem},
            logging_config=None,
        )

    def find(self, method: str, path: str) -> tuple[Endpoint | None, dict[str, Any]]:
        """The door at an address, with its path's parameters; None for a standing handler.

        Raises Litestar's `NotFoundException` and `MethodNotAllowedException`.
        """
        found = self._routes.find(method, path)
        if found is not None:
            return found
        routing = self._litestar.asgi_router.handle_routing(path=normalize_path(path), method=method)  # type: ignore[arg-type]
        _, handler, _, parameters, _ = routing
        return handler.opt.get("endpoint"), parameters

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let Litestar answer: a standing handler, a preflight, or why there is nothing."""
        await self._litestar(scope, receive, send)


def _route(endpoint: Endpoint) -> HTTPRouteHandler:
    async def handler(request: Request[Any, Any, Any]) -> ASGIResponse:
        return await answered(endpoint, request.scope, request.receive)  # type: ignore[return-value]

    return HTTPRouteHandler(
        _path_of(endpoint.door),
        http_method=_methods(endpoint.door),
        status_code=200,
        include_in_schema=False,
        opt={"endpoint": endpoint},
    )(handler)


async def answered(endpoint: Endpoint, scope: Any, receive: Any) -> Answer:
    """What a door answers to a request that was routed to it."""
    scope["door"] = endpoint.door.name
    if "\x00" in scope["path"]:
        return refused(UnknownPath(), scope, [])
    return await endpoint.answer(scope, receive)


def _options(endpoints: Iterable[Endpoint]) -> list[HTTPRouteHandler]:
    """What each address answers to OPTIONS: all its methods (Litestar's own answer knows those of one door only)."""
    methods: dict[str, set[str]] = {}
    for endpoint in endpoints:
        methods.setdefault(_path_of(endpoint.door), {"OPTIONS"}).update(_methods(endpoint.door))
    return [_options_of(path, ", ".join(sorted(names)).encode()) for path, names in methods.items()]


def _options_of(path: str, allow: bytes) -> HTTPRouteHandler:
    async def handler() -> ASGIResponse:
        return Answer(204, [(b"allow", allow)], b"")  # type: ignore[return-value]

    return HTTPRouteHandler(path, http_method=HttpMethod.OPTIONS, status_code=200, include_in_schema=False)(handler)


def _methods(door: Door) -> list[HttpMethod]:
    return [HttpMethod.GET, HttpMethod.HEAD] if door.method == "GET" else [HttpMethod(door.method)]


def _path_of(door: Door) -> str:
    return PREFIX + re.sub(r"\{(\w+)\}", r"{\1:str}", door.path)


def _cors(origins: tuple[str, ...]) -> CORSConfig:
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "X-Request-Id"],
        expose_headers=["ETag", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id", "Idempotency-Replayed"],
        max_age=3600,
    )


def _as_problem(request: Request[Any, Any, Any], error: Exception) -> Any:
    """Litestar's own errors (no such route, no such method), and bugs outside of any door."""
    refusal: Refusal = InternalError()
    headers: list[tuple[bytes, bytes]] = []
    if isinstance(error, Refusal):
        refusal = error
    elif isinstance(error, MethodNotAllowedException):
        refusal = MethodNotAllowed()
        headers = [(b"allow", ", ".join(sorted((error.headers or {}).get("allow", "").split(", "))).encode())]
    elif isinstance(error, NotFoundException):
        refusal = UnknownPath()
    elif isinstance(error, HTTPException) and error.status_code < 500:
        refusal = Malformed(error.detail)
    else:
        log.exception("request failed", exc_info=error)
    return _Ready(refused(refusal, request.scope, headers))  # type: ignore[arg-type]


class _Ready:
    """Lets an answer stand where Litestar expects a response of its own."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def to_asgi_response(self, *_: object, **__: object) -> Answer:
        return self._answer
