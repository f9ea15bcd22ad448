"""The doors that are not of any module: health, readiness, metrics, the OpenAPI document and its viewer."""

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from litestar import HttpMethod, Request, route
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from tenfold.platform.http import viewer
from tenfold.platform.http.answers import Answer, HeaderList
from tenfold.platform.observe import metrics
from tenfold.platform.observe.health import Check

Ready = Callable[[], Awaitable[Sequence[Check]]]


def standing_handlers(document: Callable[[], dict[str, Any]], ready: Ready) -> list[HTTPRouteHandler]:
    """The handlers, at the root (not under `/v1`). The document is written when it is first asked for, and kept."""
    kept = functools.cache(document)
    openapi = functools.cache(lambda: msgspec.json.encode(kept()))
    page = functools.cache(lambda: viewer.page_of(kept()))

    @_at("/health")
    async def health(request: Request[Any, Any, Any]) -> ASGIResponse:
        """Alive: the process answers."""
        return _answer(request, 200, b'{"status":"alive"}')

    @_at("/ready")
    async def readiness(request: Request[Any, Any, Any]) -> ASGIResponse:
        """Ready to take requests: 200 when every check passes, else 503 and which one did not."""
        checks = await ready()
        passed = all(check.passed for check in checks)
        body = {"status": "ready" if passed else "not ready", "checks": checks}
        return _answer(request, 200 if passed else 503, msgspec.json.encode(body))

    @_at("/metrics")
    async def prometheus(request: Request[Any, Any, Any]) -> ASGIResponse:
        """The metrics of this process, as Prometheus reads them."""
        return _answer(request, 200, generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST)

    @_at("/openapi.json")
    async def openapi_document(request: Request[Any, Any, Any]) -> ASGIResponse:
        """The OpenAPI document."""
        return _answer(request, 200, openapi())

    @_at("/docs")
    async def docs(request: Request[Any, Any, Any]) -> ASGIResponse:
        """The viewer of the document."""
        policy = [(b"content-security-policy", viewer.CONTENT_SECURITY_POLICY)]
        return _answer(request, 200, page(), content_type="text/html; charset=utf-8", headers=policy)

    @_at("/")
    async def root(request: Request[Any, Any, Any]) -> ASGIResponse:
        """What this is, and where to go."""
        about = {"name": kept()["info"]["title"], "version": kept()["info"]["version"]}
        return _answer(request, 200, msgspec.json.encode({**about, "docs": "/docs", "openapi": "/openapi.json"}))

    return [health, readiness, prometheus, openapi_document, docs, root]


def _at(path: str) -> Callable[[Callable[..., Awaitable[ASGIResponse]]], HTTPRouteHandler]:
    """GET, and HEAD too: many that watch whether a process is alive ask with it."""
    return route(path, http_method=[HttpMethod.GET, HttpMethod.HEAD], status_code=200, include_in_schema=False)


def _answer(
    request: Request[Any, Any, Any],
    status: int,
    body: bytes,
    *,
    content_type: str = "application/json",
    headers: HeaderList | None = None,
) -> Any:
    scope: Any = request.scope
    scope["door"] = f"GET {scope['path']}"
    return Answer(status, [(b"content-type", content_type.encode()), *(headers or ())], body)
