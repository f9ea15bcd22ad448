"""RPC: the doors for those who are connected by a socket. A method is a request line, the data its body.

A call takes the way of a request from the gate on: the same routing, limits, parsing, transaction and refusals. It has
no headers, so no `Idempotency-Key` and no conditional reads, and its asker is whoever the socket belongs to.
"""

import os
import time
from urllib.parse import unquote

import structlog
from litestar.exceptions import MethodNotAllowedException, NotFoundException
from msgspec import Raw

from tenfold.kit.refusals import Refusal
from tenfold.platform.http.doors import Client
from tenfold.platform.http.endpoint import Endpoint
from tenfold.platform.http.observer import Observer
from tenfold.platform.http.problems import InternalError, MethodNotAllowed, UnknownPath
from tenfold.platform.http.router import Router
from tenfold.platform.observe import logs, traces
from tenfold.platform.realtime.codes import METHOD_NOT_FOUND, ErrorReply
from tenfold.platform.realtime.lobby import Caller

log = structlog.get_logger("tenfold.http")
_NOTHING = Raw(b"{}")
_AGAIN = (429, 503)


class Rpc:
    """Calls doors by `METHOD /path?query`, such as `POST /v1/posts`."""

    def __init__(self, router: Router, *, log_requests: bool = False) -> None:
        """`router` is that of HTTP; `log_requests` has every call logged, as it has every request."""
        self._router = router
        self._observe = Observer(log_requests=log_requests)

    async def __call__(self, caller: Caller, method: str, data: Raw) -> Raw | ErrorReply:
        """Answer one call of whoever is connected: the body of the answer (`{}` when there is none), or why not.

        A refusal's code is 1000 and its status, its message `Code: sentence`.
        """
        verb, _, target = method.partition(" ")
        path, _, query = target.partition("?")
        if not path.startswith("/"):
            return METHOD_NOT_FOUND
        started, request_id = time.perf_counter(), os.urandom(12).hex()
        logs.bind_request(request_id)
        door, status = "other", 500
        with traces.request_span(verb, None) as span:
            try:
                endpoint, parameters = self._find(verb, unquote(path))
                door = endpoint.door.name
                asker = (caller.actor, Client(caller.address, ""))
                status, body = await endpoint.call(parameters, query.encode(), bytes(data), asker=asker)
                return Raw(body) if body else _NOTHING
            except Refusal as refusal:
                status = refusal.status
                return _refused(refusal)
            except Exception:
                log.exception("request failed", door=door)
                return _refused(InternalError(f"It has been logged under the request id {request_id}."))
            finally:
                span.rename(door)
                span.set(status=status, request_id=request_id)
                self._observe(door, status, time.perf_counter() - started)

    def _find(self, verb: str, path: str) -> tuple[Endpoint, dict[str, object]]:
        try:
            endpoint, parameters = self._router.find(verb, path)
        except NotFoundException:
            raise UnknownPath from None
        except MethodNotAllowedException:
            raise MethodNotAllowed from None
        if endpoint is None or "\x00" in path:
            raise UnknownPath
        if endpoint.door.method != verb:
            raise MethodNotAllowed
        return endpoint, parameters


def _refused(refusal: Refusal) -> ErrorReply:
    sentence = refusal.detail or refusal.title()
    return ErrorReply(1000 + refusal.status, f"{refusal.code()}: {sentence}", temporary=refusal.status in _AGAIN)
