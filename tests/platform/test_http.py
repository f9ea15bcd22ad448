"""What every door does by itself: admit, limit, tag, compress, refuse in one form. On a real server."""

import asyncio
import contextlib
import socket
from ipaddress import ip_network

import httpx2
import pytest

from tenfold.kit.ids import new_id
from tenfold.kit.refusals import CannotStart
from tenfold.platform.db import Database
from tenfold.platform.http.gate import HttpPolicy
from tenfold.platform.http.server import bind
from tenfold.platform.limits.policy import LimitPolicy
from tests.platform.bookshop import Site, built

ABSENT = "01890000-0000-7000-8000-000000000000"


async def test_a_refusal_is_a_problem_document(site: Site) -> None:
    """One form for all (RFC 9457), with a stable code and the request's id."""
    await site.client.post("/v1/books", json={"title": "Emma"})

    answer = await site.client.post("/v1/books", json={"title": "Emma"}, headers={"x-request-id": "my-request-7"})

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "my-request-7"
    assert answer.json() == {
        "type": "/problems/BookIsTaken",
        "title": "There is a book of this title.",
        "status": 409,
        "code": "BookIsTaken",
        "request_id": "my-request-7",
        "detail": "Emma is here already.",
    }
    assert await site.count() == 1


async def test_a_bug_is_a_500_that_tells_nothing(site: Site) -> None:
    """The log has the story, under the id that the client can quote."""
    answer = await site.client.get("/v1/boom")

    assert (answer.status_code, answer.json()["code"]) == (500, "InternalError")
    assert "secret" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "UnknownPath"),
        ("PATCH", "/v1/books", 405, "MethodNotAllowed"),
        ("GET", "/v1/books/not-an-id", 404, "UnknownPath"),
        ("GET", f"/v1/books/{ABSENT}", 404, "BookNotFound"),
        ("GET", "/v1/books?page=2", 400, "Invalid"),
        ("GET", "/v1/staff", 404, "UnknownPath"),
    ],
)
async def test_wrong_addresses_are_refused_in_the_same_form(
    site: Site, method: str, path: str, status: int, code: str
) -> None:
    """The router's refusals look like ours, and a door for a role does not exist for others."""
    answer = await site.client.request(method, path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_reader_who_has_it_already_gets_304(site: Site) -> None:
    """Entity tags are weak and compare by content."""
    first = await site.client.get("/v1/books")

    second = await site.client.get("/v1/books", headers={"if-none-match": first.headers["etag"]})

    assert (second.status_code, second.content) == (304, b"")


async def test_a_public_answer_is_kept_for_visitors_only(site: Site) -> None:
    """Somebody who is signed in sees the present."""
    async with httpx2.AsyncClient(base_url=site.client.base_url) as nobody:
        before = await nobody.get("/v1/books")
        await site.client.post("/v1/books", json={"title": "Emma"})
        kept = await nobody.get("/v1/books")
    own = await site.client.get("/v1/books")

    assert (before.json(), kept.json(), own.json()) == ([], [], ["Emma"])
    assert kept.headers["cache-control"] == "public, max-age=5"
    assert "authorization" in kept.headers["vary"]  # nor does a cache on the way give it to others
    assert own.headers["cache-control"] == "private, no-cache"


async def test_larger_answers_are_compressed_for_who_takes_it(site: Site) -> None:
    """Small ones are not worth it."""
    title = "Emma " * 400
    await site.client.post("/v1/books", json={"title": title})

    packed = await site.client.get("/v1/books", headers={"accept-encoding": "gzip"})
    plain = await site.client.get("/v1/books", headers={"accept-encoding": "identity"})
    unwanted = await site.client.get("/v1/books", headers={"accept-encoding": "gzip;q=0.0, identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in unwanted.headers
    assert packed.json() == plain.json() == [title]
    assert int(packed.headers["content-length"]) < len(plain.content) / 4


async def test_limits_are_told_and_kept(database: Database) -> None:
    """Every limited answer says where one stands; over it, 429 and when to come back."""
    async with built(database, budgets=LimitPolicy(tiers=(5,))) as site:
        answers = [await site.client.get(f"/v1/books/{new_id()}") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [404, 404, 429]
    assert answers[0].headers["ratelimit-policy"] == '"calls";q=5;w=900'
    assert answers[0].headers["ratelimit"].startswith('"calls";r=3;t=')
    assert answers[2].headers["content-type"] == "application/problem+json"
    assert answers[2].json()["code"] == "TooManyRequests"
    assert 1 <= int(answers[2].headers["retry-after"]) <= 900


async def test_a_doors_extra_limit_is_its_own(site: Site) -> None:
    """Mails are counted as mails."""
    statuses = [(await site.client.post("/v1/mails")).status_code for _ in range(3)]

    assert statuses == [204, 204, 429]


async def test_guessing_tokens_is_limited_by_address(database: Database) -> None:
    """A wrong token is charged to the address that sends it."""
    async with built(database, budgets=LimitPolicy(anonymous=3)) as site:
        guesses = [
            (await site.client.get("/v1/books", headers={"authorization": f"Bearer guess-{n}"})).status_code
            for n in range(5)
        ]

    assert guesses == [401, 401, 401, 429, 429]


async def test_only_trusted_proxies_speak_for_their_clients(database: Database) -> None:
    """A header that anybody can write is believed from our own proxy alone."""
    headers = {"x-forwarded-for": "203.0.113.9", "authorization": "Bearer boss"}
    async with built(database) as site:
        believed_nobody = await site.client.get("/v1/staff", headers=headers)
    async with database.write() as tx:
        await tx.connection.execute("drop table books")
    async with built(database, HttpPolicy(trusted_proxies=(ip_network("127.0.0.0/8"),))) as site:
        believed = await site.client.get("/v1/staff", headers=headers)

    assert (believed_nobody.json(), believed.json()) == ("127.0.0.1", "203.0.113.9")


async def test_browsers_of_listed_origins_may_call(database: Database) -> None:
    """Others get no permission."""
    async with built(database, HttpPolicy(cors_origins=("https://app.example",))) as site:
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        listed = await site.client.options("/v1/books", headers={"origin": "https://app.example", **asked})
        other = await site.client.options("/v1/books", headers={"origin": "https://evil.example", **asked})

    assert listed.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in other.headers


async def test_half_a_request_stores_nothing(site: Site) -> None:
    """A connection that closes half-way leaves no trace and no error."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(
        b"POST /v1/books HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ana\r\ncontent-type: application/json\r\n"
        b'content-length: 100\r\n\r\n{"title": '
    )
    await writer.drain()

    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.05)

    assert await site.count() == 0
    assert (await site.client.get("/v1/books")).status_code == 200
    assert reader.at_eof()


async def test_head_is_get_without_the_body(site: Site) -> None:
    """`curl -I` works."""
    got = await site.client.get("/v1/books")
    headed = await site.client.head("/v1/books")

    assert headed.status_code == 200
    assert headed.content == b""
    assert headed.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/metrics", "/openapi.json", "/docs"])
async def test_the_standing_doors_answer_to_get_and_head(site: Site, path: str) -> None:
    """Many that watch whether a process is alive ask with HEAD."""
    got = await site.client.get(path)
    headed = await site.client.head(path)

    assert (got.status_code, headed.status_code, headed.content) == (200, 200, b"")
    assert headed.headers["content-type"] == got.headers["content-type"]


async def test_requests_in_flight_are_finished_when_the_server_stops(database: Database) -> None:
    """What was accepted is answered; what comes later is not accepted."""
    async with contextlib.AsyncExitStack() as stack:
        site = await stack.enter_async_context(built(database))
        flying = asyncio.create_task(site.client.post("/v1/slow-books", json={"title": "Emma"}))
        await asyncio.wait_for(site.hold.arrived.wait(), 5)
        stopping = asyncio.create_task(site.stop())
        refuses = await _refuses(site.port)
        site.hold.go_on.set()
        await stopping

        assert refuses
        assert (await flying).status_code == 201
        assert await site.count() == 1


async def _refuses(port: int) -> bool:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            return True
        await asyncio.sleep(0.02)
    return False


def test_a_name_that_is_no_address_is_one_sentence() -> None:
    """However it is not one."""
    for host in ("a..b", "\u00e9" * 70, "256.1.1.1"):
        with pytest.raises(CannotStart, match="Cannot listen on"):
            bind(host, 0)


def test_a_taken_port_is_one_sentence() -> None:
    """And says what to do, also while the program that has it is still starting."""
    with contextlib.closing(bind("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]

        with pytest.raises(CannotStart, match=rf"Port {port} on 127.0.0.1 is taken .* --port"):
            bind("127.0.0.1", port)


async def test_trailers_that_do_not_end_are_cut_off(site: Site) -> None:
    """What follows a body may not fill the memory either; uvicorn would keep every field."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"GET /v1/books HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n")
    with contextlib.suppress(ConnectionError):
        for _ in range(100):
            writer.write(b"x: y\r\n" * 2_000)
            await asyncio.wait_for(writer.drain(), 5)
            await asyncio.sleep(0)
        await asyncio.wait_for(reader.read(), 5)
    writer.close()

    assert (await site.client.get("/v1/books")).status_code == 200
