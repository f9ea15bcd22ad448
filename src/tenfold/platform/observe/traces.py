"""Traces: spans that we open by hand, exported over OTLP/HTTP. Until `configure` is called they cost one look-up.

    with span("feed.fan_out", followers=len(ids)):
        ...

A span never holds a message of an exception, as that may hold what a user wrote: only its type.
"""

from collections.abc import Iterable
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

Value = str | bool | int | float

_tracer: "Tracer | None" = None
_provider: "TracerProvider | None" = None


class OpenSpan(Protocol):
    """A span that is being measured."""

    def set(self, **attributes: Value) -> None:
        """Say more about it."""
        ...

    def rename(self, name: str) -> None:
        """Call it otherwise, now that more is known."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


class _Nothing:
    """The span of a process that does not trace."""

    __slots__ = ()

    def set(self, **attributes: Value) -> None:
        return None

    def rename(self, name: str) -> None:
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None


class _Traced:
    """A span of OpenTelemetry, current while it is open."""

    __slots__ = ("_parent", "_span", "_token", "_tracer")

    def __init__(self, tracer: "Tracer", name: str, attributes: dict[str, Any], **how: Any) -> None:
        self._span: Span = tracer.start_span(name, attributes=attributes, **how)
        self._token: Token[Any] | None = None

    def set(self, **attributes: Value) -> None:
        """Say more about it."""
        self._span.set_attributes(attributes)

    def rename(self, name: str) -> None:
        """Call it otherwise, now that more is known."""
        self._span.update_name(name)

    def __enter__(self) -> Self:
        from opentelemetry import context, trace

        self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        from opentelemetry import context
        from opentelemetry.trace import StatusCode

        if self._token is not None:
            context.detach(self._token)
        if kind is not None:
            self._span.set_attribute("error.type", kind.__qualname__)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


_NOTHING = _Nothing()


def span(name: str, **attributes: Value) -> OpenSpan:
    """Measure what happens inside, as part of whatever is measured around it."""
    return _NOTHING if _tracer is None else _Traced(_tracer, name, attributes)


def request_span(name: str, traceparent: str | None, **attributes: Value) -> OpenSpan:
    """Measure a request, as part of its caller's trace when it sent a W3C `traceparent`."""
    if _tracer is None:
        return _NOTHING
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent = TraceContextTextMapPropagator().extract({"traceparent": traceparent}) if traceparent else None
    return _Traced(_tracer, name, attributes, context=parent, kind=SpanKind.SERVER)


def http_span(method: str, headers: Iterable[tuple[bytes, bytes]]) -> OpenSpan:
    """Measure an HTTP request, with its headers as ASGI has them; rename it when its route is known."""
    if _tracer is None:
        return _NOTHING
    parent = next((value for name, value in headers if name == b"traceparent"), b"")
    return request_span(method, parent.decode("latin-1"))


def traceparent() -> str | None:
    """The W3C `traceparent` of what is measured now, to hand to whoever goes on with it; None when nothing is."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def configure(endpoint: str | None, ratio: float = 1.0, *, service: str = "tenfold") -> None:
    """Trace a share of requests from now on, and send the spans to an OTLP/HTTP address; None changes nothing.

    Call once per process, after any fork: spans leave from a thread, the last ones when the process ends. A caller's
    decision not to trace is kept; its wish to be traced only raises a request to the same share as every other.
    """
    global _provider, _tracer
    if endpoint is None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    share = TraceIdRatioBased(ratio)
    sampler = ParentBased(share, remote_parent_sampled=share)
    _provider = TracerProvider(resource=Resource({"service.name": service}), sampler=sampler)
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=3)))
    _tracer = _provider.get_tracer("tenfold")


def shut_down() -> None:
    """Send what is left (for at most a few seconds), and trace no more. It blocks; a process's end does it too."""
    global _provider, _tracer
    provider, _provider, _tracer = _provider, None, None
    if provider is not None:
        provider.shutdown()
