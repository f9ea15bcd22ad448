"""Traces: spans reach a collector when there is one, in their caller's trace, and cost nothing when there is none."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tenfold.platform.db.embedded import Address
from tenfold.platform.observe import traces
from tests.world import worlds

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


class Collector:
    """A small OTLP/HTTP receiver."""

    def __init__(self) -> None:
        self.received: list[ExportTraceServiceRequest] = []
        collector = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.received.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Door)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}/v1/traces"

    def spans(self) -> dict[str, Span]:
        traces.shut_down()
        groups = [scope for request in self.received for group in request.resource_spans for scope in group.scope_spans]
        return {span.name: span for scope in groups for span in scope.spans}


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, args=(0.01,))
    thread.start()
    yield collector
    traces.shut_down()
    collector.server.shutdown()
    collector.server.server_close()
    thread.join()


def test_spans_reach_the_collector_in_their_order(collector: Collector) -> None:
    """What is measured inside of something is its child, under the trace that the caller began."""
    traces.configure(collector.endpoint)

    with traces.request_span("GET /posts", f"00-{TRACE}-{CALLER}-01", door="GET /posts") as outer:
        with traces.span("statement", rows=3):
            inside = traces.traceparent()
        outer.set(status=200)

    spans = collector.spans()
    request, statement = spans["GET /posts"], spans["statement"]
    assert request.trace_id.hex() == TRACE
    assert request.parent_span_id.hex() == CALLER
    assert statement.parent_span_id == request.span_id
    assert inside == f"00-{TRACE}-{statement.span_id.hex()}-01"
    assert {item.key: item.value.string_value or item.value.int_value for item in request.attributes} == {
        "door": "GET /posts",
        "status": 200,
    }


def test_a_failure_is_marked_by_its_type_only(collector: Collector) -> None:
    """A message may hold what a user wrote, and a collector is somebody else's."""
    traces.configure(collector.endpoint)

    with pytest.raises(LookupError), traces.span("deed"):
        raise LookupError("password=hunter2")

    deed = collector.spans()["deed"]
    assert deed.status.code == Status.STATUS_CODE_ERROR
    assert [item.value.string_value for item in deed.attributes] == ["LookupError"]
    assert b"hunter2" not in b"".join(request.SerializeToString() for request in collector.received)


@pytest.mark.parametrize(("ratio", "caller"), [(0.0, "01"), (1.0, "00")])
def test_a_request_is_traced_only_when_both_sides_want_it(collector: Collector, ratio: float, caller: str) -> None:
    """A stranger's header cannot switch tracing on beyond our share; its wish not to be traced is kept."""
    traces.configure(collector.endpoint, ratio)

    with traces.request_span("request", f"00-{TRACE}-{CALLER}-{caller}"), traces.span("inside"):
        pass

    assert collector.spans() == {}


@pytest.mark.parametrize("header", ["", "nonsense", f"00-{'0' * 32}-{CALLER}-01", f"ff-{TRACE}-{CALLER}-01", "\x00é"])
def test_a_malformed_traceparent_begins_a_new_trace(collector: Collector, header: str) -> None:
    """Bad input of a caller never fails its request."""
    traces.configure(collector.endpoint)

    with traces.request_span("request", header):
        pass

    span = collector.spans()["request"]
    assert span.parent_span_id == b""
    assert span.trace_id.hex() != TRACE


def test_a_collector_that_is_away_harms_nobody() -> None:
    """Spans are dropped; the work they measure goes on."""
    collector = Collector()
    collector.server.server_close()
    traces.configure(collector.endpoint)

    with traces.span("deed"):
        pass

    traces.shut_down()


def test_without_a_collector_a_span_imports_nothing() -> None:
    """Whoever does not trace pays no memory and no start time for it."""
    program = """
import sys
from tenfold.platform.db.embedded import Address
from tenfold.platform.observe import traces
from tests.world import worlds
traces.configure(None)
with traces.span("a", n=1) as one, traces.request_span("b", "00-x") as two:
    one.set(x=1)
assert one is two and traces.traceparent() is None
assert not [name for name in sys.modules if name.startswith(("opentelemetry", "requests"))]
"""
    subprocess.run([sys.executable, "-c", program], check=True)


async def test_a_request_its_statements_and_its_jobs_are_one_trace(
    collector: Collector, database_address: Address, tmp_path: Path
) -> None:
    """Whoever looks at a slow request sees which statement was slow, and what followed from it later."""
    async with worlds(database_address, tmp_path) as world:
        traces.configure(collector.endpoint)
        await world.ana.post("/v1/posts", {"body": "hello"}, headers={"traceparent": f"00-{TRACE}-{CALLER}-01"})
        await world.drain()

        spans = await asyncio.to_thread(collector.spans)

    request = spans["POST /posts"]
    ours = {name: span for name, span in spans.items() if span.trace_id.hex() == TRACE}
    assert request.parent_span_id.hex() == CALLER
    assert any(name.startswith("feed.") and span.parent_span_id == request.span_id for name, span in ours.items())
    assert any(name.startswith("job feed.") for name in ours)
