"""The application: Litestar routes a request to its door; around it, what every answer has, whoever gives it."""

import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
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
from tenfold.platform.http.gate import Gate, HttpPolicy
from tenfold.platform.http.observer import Observer
from tenfold.platform.http.problems import InternalError, MethodNotAllowed, UnknownPath
from tenfold.platform.observe import logs, traces
from tenfold.platform.parts import Parts

log = structlog.get_logger("tenfold.http")
_REQUEST_ID = re.compile(rb"^[A-Za-z0-9._~+/=-]{8,128}$")
_SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
PREFIX = "/v1"


def build_router(doors: Iterable[Door], parts: Parts, gate: Gate, extra: Iterable[HTTPRouteHandler] = ()) -> Litestar:
    """Route every door (under `/v1`) and the extra handlers (as they are)."""
    doors = list(doors)
    handlers = [_route(Endpoint(door, parts, gate)) for door in doors]
    origins = gate.policy.cors_origins
    return Litestar(
        route_handlers=[*_options(doors), *handlers, *extra],
        openapi_config=None,
        cors_config=_cors(origins) if origins else None,
        exception_handlers={Exception: _as_problem},
        logging_config=None,
    )


def find_endpoint(router: Litestar, method: str, path: str) -> tuple[Endpoint | None, dict[str, Any]]:
    """The door at an address, with its path's parameters; None for a standing handler.

    Raises Litestar's `NotFoundException` and `MethodNotAllowedException`.
    """
    _, handler, _, parameters, _ = router.asgi_router.handle_routing(path=normalize_path(path), method=method)  # type: ignore[arg-type]
    return handler.opt.get("endpoint"), parameters


def _route(endpoint: Endpoint) -> HTTPRouteHandler:
    async def handler(request: Request[Any, Any, Any]) -> ASGIResponse:
        return await _answered(endpoint, request.scope, request.receive)  # type: ignore[return-value]

    return HTTPRouteHandler(
        _path_of(endpoint.door),
        http_method=_methods(endpoint.door),
        status_code=200,
        include_in_schema=False,
        opt={"endpoint": endpoint},
    )(handler)


async def _answered(endpoint: Endpoint, scope: Any, receive: Any) -> Answer:
    scope["door"] = endpoint.door.name
    if "\x00" in scope["path"]:
        return refused(UnknownPath(), scope, [])
    return await endpoint.answer(scope, receive)


def _options(doors: Iterable[Door]) -> list[HTTPRouteHandler]:
    """What each address answers to OPTIONS: all its methods (Litestar's own answer knows those of one door only)."""
    methods: dict[str, set[str]] = {}
    for door in doors:
        methods.setdefault(_path_of(door), {"OPTIONS"}).update(_methods(door))
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


class Application:
    """The ASGI application of a process: HTTP through the router, sockets to the realtime endpoint."""

    def __init__(self, router: Litestar, policy: HttpPolicy, socket: Any = None) -> None:
        """`socket` is the ASGI application that takes WebSocket connections at `/connection/websocket`."""
        self._router = router
        self._policy = policy
        self._socket = socket
        self._observe = Observer(log_requests=policy.log_requests)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request or carry one connection."""
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._router(scope, receive, send)

    async def _at_the_door(self, scope: Any, receive: Any, send: Any) -> None:
        """Find the door by Litestar's routing, and answer there: its frame around a handler would cost 50 µs more.

        What is not a door, and what a browser of another origin sends (that may need CORS), goes the whole way.
        """
        endpoint: Endpoint | None = None
        parameters: dict[str, Any] = {}
        if not (self._policy.cors_origins and any(name == b"origin" for name, _ in scope["headers"])):
            with suppress(HTTPException):
                endpoint, parameters = find_endpoint(self._router, scope["method"], scope["path"])
        if endpoint is None:
            await self._router(scope, receive, send)
            return
        scope["path_params"] = parameters
        answer = await _answered(endpoint, scope, receive)
        await answer(scope, receive, send)

    async def _websocket(self, scope: Any, receive: Any, send: Any) -> None:
        if self._socket is not None and scope["path"] == "/connection/websocket":
            await self._socket(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 4404, "reason": "nothing here"})

    async def _http(self, scope: Any, receive: Any, send: Any) -> None:
        started = time.perf_counter()
        request_id = _request_id(scope["headers"])
        scope["request_id"] = request_id
        logs.bind_request(request_id)
        status = 500

        async def send_with_headers(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_SECURITY, (b"x-request-id", request_id.encode())]
            await send(message)

        with traces.http_span(scope["method"], scope["headers"]) as span:
            try:
                await self._at_the_door(scope, receive, send_with_headers)
            finally:
                span.rename(scope.get("door", "other"))
                span.set(status=status, request_id=request_id)
                self._observe(scope.get("door", "other"), status, time.perf_counter() - started)


def _request_id(headers: list[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.match(value):
            return value.decode("ascii")
    return os.urandom(12).hex()
