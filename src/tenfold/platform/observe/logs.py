"""Logs: one pipeline for our own lines and for the libraries', as JSON or for a reader's eyes, with no secret in them.

    log = structlog.get_logger("tenfold.feed")
    log.info("post published", post_id=post.id)

Each line carries what was bound to its request or job. Writing is left to a thread (`lines`), so a stalled terminal, a
full disk or a closed pipe costs lines and never a request.
"""

import atexit
import contextlib
import logging
import os
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Literal

import msgspec
import structlog

from tenfold.kit.actors import Actor
from tenfold.platform.observe.lines import Lines
from tenfold.platform.observe.redaction import mask, redact

Event = MutableMapping[str, Any]
Format = Literal["auto", "json", "console"]
Level = Literal["debug", "info", "warning", "error"]

_context: ContextVar[dict[str, Any]] = ContextVar("tenfold_log_context", default={})  # noqa: B039 - never changed in place
_NOISY = (
    "uvicorn",
    "uvicorn.error",
    "uvicorn.access",
    "uvicorn.asgi",
    "pgqueuer",
    "litestar",
    "opentelemetry",
    "urllib3",
)
_LOGGED = "_tenfold_logged"
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {9: " ", 10: "\\n", 13: "\\r"}
_encoder = msgspec.json.Encoder(enc_hook=str)


def bind_request(request_id: str) -> None:
    """Start a new context, in which each line carries this request id."""
    _context.set({"request_id": request_id})


def identify_actor(actor: Actor | None) -> None:
    """Have each further line of this context carry the actor's id; None changes nothing."""
    if actor is not None:
        _context.set({**_context.get(), "actor_id": actor.id})


def request_id() -> str | None:
    """The id of the request that this context serves or follows from, if any."""
    return _context.get().get("request_id")


def bind(**values: object) -> None:
    """Have each further line of this context carry these values too (a job's name and id, a connection's)."""
    _context.set({**_context.get(), **values})


def configure(format: Format = "auto", level: Level = "info", *, descriptor: int = 1) -> Lines:
    """Send every line of this process to a file descriptor (default: standard output). Call once, before any line.

    `auto` is for eyes on a terminal and JSON elsewhere. Returns the writer, whose `flush` waits for what was logged.
    """
    lines = Lines(descriptor)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    for_eyes = format == "console" or (format == "auto" and _is_terminal(descriptor))
    render = _console(_is_terminal(descriptor)) if for_eyes else _json
    processors = [_add_context, structlog.processors.add_log_level, _stamp, _once, _render_exception, _redact, render]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *names: _Named(lines, names[0] if names else "tenfold"),
        cache_logger_on_first_use=False,
    )
    _adopt_libraries(threshold)
    atexit.register(lines.flush)
    return lines


class _Named:
    """Where the pipeline ends: a logger's name, and the lines that it writes to."""

    def __init__(self, lines: Lines, name: str) -> None:
        self.name = name
        self.debug = self.info = self.warning = self.error = self.critical = self.exception = self.log = lines.write


class _Adopted(logging.Handler):
    """Takes the lines of libraries that log through the standard library, and gives them to the same pipeline."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            error = record.exc_info[1] if record.exc_info else None
            logger = structlog.get_logger(record.name)
            logger.log(record.levelno, mask(record.getMessage()), **({"exc_info": error} if error else {}))
        except Exception:
            return  # a line that cannot be printed must not harm whoever wrote it


def _adopt_libraries(threshold: int) -> None:
    root = logging.getLogger()
    root.handlers = [_Adopted()]
    root.setLevel(threshold)
    for name in _NOISY:
        library = logging.getLogger(name)
        library.handlers = []
        library.propagate = True
        library.setLevel(threshold if threshold <= logging.DEBUG else max(threshold, logging.WARNING))


def _add_context(logger: Any, _: str, event: Event) -> Event:
    return {"event": event.pop("event", ""), "logger": getattr(logger, "name", "tenfold"), **_context.get(), **event}


_stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="time")


def _once(_: Any, __: str, event: Event) -> Event:
    """Keep the traceback of an exception for the first line that shows it; later ones name it only."""
    found = event.get("exc_info")
    error = sys.exc_info()[1] if found is True else found[1] if isinstance(found, tuple) else found
    if not isinstance(error, BaseException):
        event.pop("exc_info", None)
        return event
    if getattr(error, _LOGGED, False):
        del event["exc_info"]
        event["exception"] = f"{type(error).__name__} (logged before)"
        return event
    with contextlib.suppress(AttributeError):
        setattr(error, _LOGGED, True)
    event["exc_info"] = error
    return event


_render_exception = structlog.processors.ExceptionRenderer()


def _redact(_: Any, __: str, event: Event) -> Event:
    return redact(dict(event))


def _json(_: Any, __: str, event: Event) -> bytes:
    return _encoder.encode({"time": event.pop("time", None), "level": event.pop("level", None), **event}) + b"\n"


def _console(colors: bool) -> Any:
    renderer = structlog.dev.ConsoleRenderer(
        colors=colors and not os.environ.get("NO_COLOR"),
        timestamp_key="time",
        exception_formatter=structlog.dev.plain_traceback,
        pad_event_to=34,
    )

    def render(logger: Any, method: str, event: Event) -> bytes:
        """Show control characters as text, so that no value can forge a line or steer the terminal."""
        for key, value in event.items():
            if isinstance(value, str):
                event[key] = value if key == "exception" else value.translate(_CONTROL)
        return (renderer(logger, method, event) + "\n").encode("utf-8", "backslashreplace")

    return render


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False
