"""What the gateway's port says over plain HTTP: whether it is alive and ready, its metrics, and why not."""

import msgspec
from picows import WSUpgradeResponse
from prometheus_client import CONTENT_TYPE_LATEST

from tenfold.platform.realtime.admission import Denial

_PROBLEM = "application/problem+json"
ALIVE = b'{"status":"alive"}'
READY = b'{"status":"ready"}'
NOTHING_HERE = Denial(404, "There is nothing here but /connection/websocket, /health, /ready and /metrics.")


def alive() -> WSUpgradeResponse:
    """The process answers."""
    return _answer(ALIVE, "application/json")


def ready() -> WSUpgradeResponse:
    """The process takes connections."""
    return _answer(READY, "application/json")


def metrics(text: bytes) -> WSUpgradeResponse:
    """Metrics, as Prometheus reads them."""
    return _answer(text, CONTENT_TYPE_LATEST)


def refused(denial: Denial) -> WSUpgradeResponse:
    """Why a handshake, or another request, is refused."""
    headers = {"Content-Type": _PROBLEM, "Cache-Control": "no-store"}
    if denial.retry_after:
        headers["Retry-After"] = str(denial.retry_after)
    return WSUpgradeResponse.create_error_response(denial.status, _problem(denial), headers)


def refused_raw(denial: Denial) -> bytes:
    """The same for a connection that nobody has read a request from."""
    return bytes(refused(denial).to_bytes()).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


def _answer(body: bytes, content_type: str) -> WSUpgradeResponse:
    headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
    return WSUpgradeResponse.create_ok_response(body, headers)


def _problem(denial: Denial) -> bytes:
    return msgspec.json.encode({"type": "about:blank", "status": denial.status, "title": denial.reason})
