"""Doors over the socket: a call goes the way of a request, and is refused in the same words. On a real database."""

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.platform.db import Database
from tenfold.platform.http.gate import HttpPolicy
from tenfold.platform.limits.policy import LimitPolicy
from tenfold.platform.observe import metrics
from tenfold.platform.realtime.codes import ErrorReply
from tests.platform.bookshop import ANA, BOSS, Site, built

ABSENT = "01890000-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Connected:
    """Somebody with an open connection."""

    actor: Actor
    address: str
    id: str = "0123456789abcdef"


async def call(site: Site, method: str, data: bytes = b"", *, actor: Actor = ANA, address: str = "192.0.2.7") -> Any:
    """What came back: the data, read, or the error."""
    answer = await site.rpc(Connected(actor, address), method, Raw(data))
    return answer if isinstance(answer, ErrorReply) else msgspec.json.decode(answer)


async def test_a_call_does_what_the_request_does(site: Site) -> None:
    """It writes in a transaction, and answers what HTTP would."""
    book = await call(site, "POST /v1/books", b'{"title":"Emma"}')

    assert book["title"] == "Emma"
    assert (await site.client.get("/v1/books")).json() == await call(site, "GET /v1/books") == ["Emma"]


async def test_a_door_that_answers_nothing_answers_an_empty_object(site: Site) -> None:
    """A result always has data."""
    assert await call(site, "POST /v1/mails") == {}


async def test_the_asker_is_whoever_the_socket_belongs_to(site: Site) -> None:
    """A door for a role opens for those who have it, and sees the address at the other end."""
    assert await call(site, "GET /v1/staff", actor=BOSS, address="192.0.2.9") == "192.0.2.9"


@pytest.mark.parametrize(
    ("method", "data", "code", "message"),
    [
        ("GET /v1/nothing", b"", 1404, "UnknownPath: There is nothing at this address."),
        ("GET /v1/staff", b"", 1404, "UnknownPath: There is nothing at this address."),
        ("GET /metrics", b"", 1404, "UnknownPath: There is nothing at this address."),
        ("GET /v1/books\x00", b"", 1404, "UnknownPath: There is nothing at this address."),
        ("GET /v1/books/not-an-id", b"", 1404, "UnknownPath: There is nothing at this address."),
        ("GET /v1/books%00", b"", 1404, "UnknownPath: There is nothing at this address."),
        (f"GET /v1/books/{ABSENT}", b"", 1404, "BookNotFound: There is no such book."),
        ("PATCH /v1/books", b"", 1405, "MethodNotAllowed: This address does not take that method."),
        ("HEAD /v1/books", b"", 1405, "MethodNotAllowed: This address does not take that method."),
        ("SPELL /v1/books", b"", 1405, "MethodNotAllowed: This address does not take that method."),
        ("GET /v1/books?page=2", b"", 1400, "Invalid: query.page: is not a field of this request"),
        ("POST /v1/books", b"", 1400, "Invalid: body: is required"),
        ("POST /v1/books", b"null", 1400, "Invalid: body: expected `object`, got `null`"),
        ("POST /v1/books", b'{"title":"a","title":"b"}', 1400, "Invalid: body.title: is given twice"),
        ("POST /v1/books", b'{"title":7}', 1400, "Invalid: body.title: expected `str`, got `int`"),
        ("books", b"", 104, "method not found"),
        ("", b"", 104, "method not found"),
        ("GET", b"", 104, "method not found"),
    ],
)
async def test_a_call_is_refused_as_the_request_is(
    site: Site, method: str, data: bytes, code: int, message: str
) -> None:
    """The status is in the code, the stable name before the sentence."""
    answer = await call(site, method, data)

    assert (answer.code, answer.message, answer.temporary) == (code, message, False)


async def test_a_refusal_by_a_deed_says_what_it_is_about(site: Site) -> None:
    """And nothing is written."""
    await call(site, "POST /v1/books", b'{"title":"Emma"}')

    answer = await call(site, "POST /v1/books", b'{"title":"Emma"}')

    assert (answer.code, answer.message) == (1409, "BookIsTaken: Emma is here already.")
    assert await site.count() == 1


async def test_a_body_over_the_doors_limit_is_refused(site: Site) -> None:
    """The door's own limit holds, whatever a frame may carry."""
    answer = await call(site, "POST /v1/books", b'{"title":"%s"}' % (b"x" * 70_000))

    assert answer.code == 1413
    assert answer.message.startswith("TooLarge: ")


async def test_a_bug_tells_nothing_but_where_it_is_logged(site: Site) -> None:
    """The log has the story."""
    answer = await call(site, "GET /v1/boom")

    assert answer.code == 1500
    assert answer.message.startswith("InternalError: It has been logged under the request id ")
    assert "secret" not in answer.message


async def test_calls_and_requests_spend_the_same_budget(database: Database) -> None:
    """Whoever is refused over HTTP gains nothing by the socket; another person is not touched."""
    budgets = LimitPolicy(tiers=(2,) * 6)
    async with built(database, budgets=budgets) as site:
        await site.client.post("/v1/books", json={"title": "Emma"})
        await call(site, "POST /v1/books", b'{"title":"Persuasion"}')
        refused = await call(site, "POST /v1/books", b'{"title":"Sanditon"}')
        bob = Actor(id=new_id(), session_id=new_id())
        other = await call(site, "POST /v1/books", b'{"title":"Sanditon"}', actor=bob)

    assert (refused.code, refused.temporary) == (1429, True)
    assert refused.message.startswith("TooManyRequests: ")
    assert other["title"] == "Sanditon"


async def test_a_door_for_verified_people_stays_shut_for_others(database: Database) -> None:
    """What the gate asks of a request, it asks of a call."""
    async with built(database, HttpPolicy(verified_only=frozenset({"POST /books"}))) as site:
        answer = await call(site, "POST /v1/books", b'{"title":"Emma"}')

    assert answer.code == 1403
    assert answer.message.startswith("EmailNotVerified: ")


async def test_calls_are_counted_with_the_requests_of_their_door(site: Site) -> None:
    """One figure for a door, whichever way people come."""
    labels = {"door": "GET /books/{book_id:uuid}", "status": "404"}
    before = metrics.registry.get_sample_value("tenfold_http_requests_total", labels) or 0

    await site.client.get(f"/v1/books/{ABSENT}")
    await call(site, f"GET /v1/books/{ABSENT}")

    assert metrics.registry.get_sample_value("tenfold_http_requests_total", labels) == before + 2


async def test_calls_run_beside_each_other(site: Site) -> None:
    """One that waits holds up no other."""
    slow = asyncio.create_task(call(site, "POST /v1/slow-books", b'{"title":"Slow"}'))
    await site.hold.arrived.wait()

    assert await call(site, "GET /v1/books") == []

    site.hold.go_on.set()
    assert (await slow)["title"] == "Slow"
