"""Logs: what each line carries, that no secret is ever in one, and that writing them stops nobody."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.platform.observe import logs, metrics
from tenfold.platform.observe.lines import Lines
from tenfold.platform.observe.redaction import is_secret_name, mask, redact

SECRET = "s3cr3tV4lueThatMayNotBeSeen"
JWT = "eyJhbGciOiJFZDI1NTE5In0.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"

Written = Callable[[], list[str]]


@pytest.fixture(params=["json", "console"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Written]:
    """Log into a file for one test, and say what is in it; then log as before."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    lines = logs.configure(request.param, "info", descriptor=descriptor)

    def read() -> list[str]:
        assert lines.flush()
        return path.read_text().splitlines()

    yield read
    lines.flush()
    structlog.reset_defaults()
    root.handlers, root.level = before
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "pgqueuer", "litestar"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    os.close(descriptor)


def actor() -> Actor:
    return Actor(id=new_id(), session_id=new_id())


def test_each_line_carries_its_request_and_its_actor(written: Written) -> None:
    """Whoever reads a line must find the others of the same request, and whose it was."""
    log, ana = structlog.get_logger("tenfold.test"), actor()

    logs.bind_request("request-1")
    log.info("first")
    logs.identify_actor(ana)
    logs.identify_actor(None)
    logs.bind(job="feed.fan_out")
    log.info("second")
    logs.bind_request("request-2")
    log.info("third")

    first, second, third = written()
    assert "request-1" in first
    assert all(text in second for text in ("request-1", str(ana.id), "feed.fan_out"))
    assert "request-2" in third
    assert str(ana.id) not in third + first


def test_a_json_line_is_one_object_with_a_time_and_a_level(written: Written, request: pytest.FixtureRequest) -> None:
    """Machines read one object per line, whatever is in the values."""
    structlog.get_logger("tenfold.test").warning(
        "odd\nvalues", half="\ud800", big=2**80, id=UUID(int=1), none=None, n=1.5
    )

    lines = written()
    assert len(lines) == 1
    if request.node.callspec.params["written"] == "json":
        line = json.loads(lines[0])
        assert line["level"] == "warning"
        assert line["time"].endswith("Z")
        assert line["logger"] == "tenfold.test"
        assert (line["event"], line["n"], line["none"]) == ("odd\nvalues", 1.5, None)


def test_a_value_cannot_forge_a_line_or_steer_the_terminal(written: Written) -> None:
    """Control characters of strangers stay text."""
    structlog.get_logger().info("name\n2026 [info] all is well\x1b[2J", name="a\r\nb\x1b]0;x\x07")

    assert len(written()) == 1
    assert "\x1b" not in written()[0]
    assert "\x07" not in written()[0]


def test_lines_of_libraries_take_the_same_way(written: Written) -> None:
    """uvicorn, asyncio and the queue log through the standard library; their lines are redacted and routed alike."""
    logs.bind_request("request-1")
    logging.getLogger("uvicorn.error").warning("Invalid header %s", f"Authorization: Bearer {SECRET}")
    logging.getLogger("uvicorn.access").info("GET /?token=%s", SECRET)

    (line,) = written()
    assert "Invalid header" in line
    assert "request-1" in line
    assert SECRET not in line


def test_an_exception_is_shown_once_with_its_context(written: Written) -> None:
    """The same error, logged again further out, is named and not repeated."""
    log = structlog.get_logger("tenfold.test")

    try:
        raise LookupError(f"password={SECRET}")
    except LookupError as error:
        log.exception("inner", post_id=7)
        log.error("outer", exc_info=error)
        logging.getLogger("asyncio").exception("outermost")

    text = "\n".join(written())
    assert text.count("Traceback (most recent call last)") == 1
    assert text.count("logged before") == 2
    assert SECRET not in text


@dataclass
class Form:
    name: str
    password: str


class Body(msgspec.Struct):
    name: str
    refresh_token: str
    form: Form


class Silent:
    def __str__(self) -> str:
        raise RuntimeError


def test_objects_are_redacted_by_their_fields(written: Written) -> None:
    """A request body that somebody logs whole gives away nothing, and a value without a text breaks nothing."""
    structlog.get_logger().info("x", body=Body("ana", SECRET, Form("ana", SECRET)), raw=SECRET.encode(), odd=Silent())

    assert "ana" in written()[0]
    assert SECRET not in written()[0]


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"authorization: Basic {SECRET}",
        f"Cookie: a=b; session={SECRET}",
        f"bearer {SECRET}",
        f"/reset?code={SECRET}&x=1",
        f"https://a.example/?x=1&refresh_token={SECRET}",
        f'{{"email": "a", "password": "{SECRET} and \\" more {SECRET}"}}',
        f"{{'newPassword': '{SECRET}', 'n': 1}}",
        f"postgresql://tenfold:{SECRET}@127.0.0.1/db",
        f"api_key = {SECRET}",
        f"tfr_{SECRET}",
        f"x{JWT}y {SECRET[:0]}",
        f"TENFOLD_TOKENS__KEY_SECRET={SECRET}",
    ],
)
def test_credentials_inside_of_texts_are_masked(text: str) -> None:
    """Messages of libraries and addresses carry them too."""
    masked = mask(text)

    assert SECRET not in masked
    assert JWT.split(".")[1] not in masked or text.startswith("x")
    assert mask(masked) == masked


@pytest.mark.parametrize("text", ["status_code=404", "exit code: 1", "GET /v1/users/1/posts", "took 3 tokens"])
def test_ordinary_texts_stay(text: str) -> None:
    """A log that masks everything says nothing."""
    assert mask(text) == text


@pytest.mark.parametrize(
    "name", ["password", "newPassword", "X-Api-Key", "refresh_token", "Set-Cookie", "totp", "code"]
)
def test_secret_names_are_known_however_they_are_written(name: str) -> None:
    """The same field is written in many ways between here and a library."""
    assert is_secret_name(name)
    assert not is_secret_name("status_code")
    assert not is_secret_name("post_id")


_secret_names = st.sampled_from(["password", "accessToken", "Authorization", "client-secret", "cookie", "code", "otp"])
_plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.uuids() | st.datetimes()
_leaves = _plain | st.builds(lambda name: {name: SECRET}, _secret_names)
_values = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=4)
        | st.builds(lambda name, value: {name: [value, SECRET]}, _secret_names, inner)
    ),
    max_leaves=12,
)


@given(_values)
def test_no_secret_is_ever_printed(value: Any) -> None:
    """Whatever is nested in whatever, a value under a secret name does not reach the line, and there is a line."""
    line = msgspec.json.encode(redact({"value": value}))

    assert SECRET.encode() not in line


@given(st.text(max_size=300))
def test_masking_takes_any_text(text: str) -> None:
    """What it returns can always be encoded."""
    mask(text).encode()
    mask(f"password={text}").encode()


def test_masking_a_long_text_is_quick() -> None:
    """A hostile message must not keep a processor busy."""
    started = time.perf_counter()

    for text in ("a." * 50_000, "password" * 10_000, "eyJ" * 30_000, "://" * 30_000, "token='" * 10_000):
        mask(text)

    assert time.perf_counter() - started < 2


def test_a_reader_that_stalls_stops_nobody() -> None:
    """With nobody reading, lines wait up to a bound; beyond it they are dropped and counted."""
    reader, writer = os.pipe()
    lines = Lines(writer, capacity=100)
    before = metrics.log_lines_dropped._value.get()

    started = time.perf_counter()
    for _ in range(2_000):
        lines.write(b"x" * 1_000 + b"\n")

    assert time.perf_counter() - started < 1
    assert metrics.log_lines_dropped._value.get() > before
    os.close(reader)
    assert lines.flush()
    os.close(writer)


def test_a_forked_child_writes_its_own_lines() -> None:
    """Prefork servers log before and after the fork; no line is lost or written twice."""
    reader, writer = os.pipe()
    lines = Lines(writer)
    lines.write(b"parent\n")
    assert lines.flush()

    child = os.fork()
    if child == 0:
        lines.write(b"child\n")
        lines.flush()
        os._exit(0)
    os.waitpid(child, 0)

    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "parent\nchild\n"


PROGRAM = """
import structlog
from tenfold.platform.observe import logs
logs.configure("json")
for n in range(3000):
    structlog.get_logger().info("line", n=n)
"""


@pytest.mark.parametrize("where", ["/dev/full", "closed", "head"])
def test_a_process_outlives_its_standard_output(where: str) -> None:
    """A full disk or a closed pipe costs lines, and neither an error nor the exit code."""
    redirect = {"/dev/full": ">/dev/full", "closed": ">&-", "head": "| head -1 >/dev/null"}[where]

    ended = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$0" -c "$1" {redirect}', sys.executable, PROGRAM],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
