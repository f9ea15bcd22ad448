"""The observer: counts and times what doors answer, by door and status, whichever way a call came."""

from typing import Any

import structlog

from tenfold.platform.observe import metrics

log = structlog.get_logger("tenfold.http")


class Observer:
    """Writes down each answer. Metrics' children are kept, since finding one by its labels costs more than to count."""

    def __init__(self, *, log_requests: bool) -> None:
        """`log_requests` has every answer logged too."""
        self._log_requests = log_requests
        self._requests: dict[tuple[str, int], Any] = {}
        self._seconds: dict[str, Any] = {}

    def __call__(self, door: str, status: int, seconds: float) -> None:
        """Note one answer."""
        counter = self._requests.get((door, status))
        if counter is None:
            counter = self._requests[door, status] = metrics.requests.labels(door, str(status))
            self._seconds.setdefault(door, metrics.request_seconds.labels(door))
        counter.inc()
        self._seconds[door].observe(seconds)
        if self._log_requests:
            log.info("request", door=door, status=status, milliseconds=round(seconds * 1000, 2))
