"""Bad input, by hand: whatever comes over the wire gets a 4xx that says what is wrong, and stores nothing."""

import asyncio
import base64
import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey

from tenfold.kit.ids import new_id
from tenfold.modules.identity import Keyring
from tenfold.platform.http import connection, requests
from tests.world import PASSWORD, Person, World

GET = b"GET /v1/timelines/public HTTP/1.1\r\nhost: x\r\n"
SIGN_UP = b"POST /v1/accounts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
ACCOUNT = json.dumps({"email": "kim@example.org", "password": PASSWORD, "handle": "kim", "name": "Kim"}).encode()


async def wire(world: World, *pieces: bytes, hang_up: bool = False) -> bytes:
    """Send bytes as they are; what came back until the server closed or had nothing more to say."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(world.url.rpartition(":")[2]))
    said = b""
    try:
        for piece in pieces:
            writer.write(piece)
        await writer.drain()
        if hang_up:
            return said
        async with asyncio.timeout(5):
            while not said.endswith((b"}", b".")):
                piece = await reader.read(65536)
                if not piece:
                    break
                said += piece
    except ConnectionResetError:
        pass  # a server that closes while we still send may be heard as a reset
    finally:
        writer.close()
    return said


def status_of(said: bytes) -> int:
    return int(said.split(b" ", 2)[1]) if said else 0


async def accounts(world: World) -> int:
    async with world.db.read() as tx:
        return await tx.connection.fetchval("select count(*) from users")


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"GARBAGE\r\n\r\n"], 400),
        ([b"GET / HTTP/9.9\r\n\r\n"], 400),
        ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], 400),
        ([b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n"], 400),
        ([b"GET http://[::1 HTTP/1.1\r\nhost: x\r\n\r\n"], 400),
        ([b"GET * HTTP/1.1\r\nhost: x\r\n\r\n"], 404),
        ([b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n"], 400),
        ([b"GET /v1/timelines/public?cursor=\xff HTTP/1.1\r\nhost: x\r\n\r\n"], 400),
        ([GET, b"x-a: a\x00b\r\n\r\n"], 400),
        ([GET, b"x-a: a\nb: c\r\n\r\n"], 400),
        ([GET, b"x-a : a\r\n\r\n"], 400),
        ([GET, b"authorization: Bearer \xff\xfe\r\n\r\n"], 401),
        ([GET, b"authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n"], 401),
        ([SIGN_UP, b"content-length: 2\r\ncontent-length: %d\r\n\r\n" % len(ACCOUNT), ACCOUNT], 400),
        ([SIGN_UP, b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", ACCOUNT], 400),
        ([SIGN_UP, b"content-length: -1\r\n\r\n", ACCOUNT], 400),
        ([SIGN_UP, b"content-length: +%d\r\n\r\n" % len(ACCOUNT), ACCOUNT], 400),
        ([SIGN_UP, b"content-length: 99999999999999999999999999\r\n\r\n", ACCOUNT], 400),
        ([SIGN_UP, b"content-length: 9999999999\r\n\r\n", ACCOUNT], 413),
        ([SIGN_UP, b"transfer-encoding: identity\r\n\r\n", ACCOUNT], 400),
        ([SIGN_UP, b"transfer-encoding: chunked\r\n\r\nZZ\r\n", ACCOUNT], 400),
        ([SIGN_UP, b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n", ACCOUNT], 400),
        ([SIGN_UP, b"transfer-encoding: chunked\r\n\r\n", *[b"2000\r\n" + b" " * 0x2000 + b"\r\n"] * 20], 413),
        ([b"GET /v1/handles/" + b"a" * 300_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n"], 431),
        ([GET, b"x-a: " + b"a" * 1_000_000 + b"\r\n\r\n"], 431),
        ([GET, b"".join(b"x-%d: a\r\n" % n for n in range(50_000)), b"\r\n"], 431),
    ],
)
async def test_malformed_http_is_refused(world: World, pieces: list[bytes], status: int) -> None:
    """The connection may be closed, the server goes on, and no half of a request becomes an account."""
    before = await accounts(world)

    said = await wire(world, *pieces)

    assert status_of(said) in ({status, 0} if status == 431 else {status}), said
    assert await accounts(world) == before
    assert (await world.ana.get("/v1/me")).status == 200


async def test_ten_megabytes_of_headers_are_not_read_to_their_end(world: World) -> None:
    """Memory is not at the disposal of strangers."""
    lines = [b"x-%d: " % number + b"a" * 10_000 + b"\r\n" for number in range(1000)]

    said = await wire(world, GET, *lines, b"\r\n")

    assert status_of(said) in (0, 431)
    assert (await world.ana.get("/v1/me")).status == 200


async def test_a_head_or_body_that_does_not_come_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are not held for ever by those who send nothing."""
    monkeypatch.setattr(connection.Connection, "head_within", 0.2)
    monkeypatch.setattr(requests, "BODY_WITHIN", 0.2)

    silent, half_head, half_body = await asyncio.gather(
        wire(world),
        wire(world, GET),
        wire(world, SIGN_UP, b"content-length: 100\r\n\r\n", b'{"email": '),
    )

    assert [status_of(said) for said in (silent, half_head, half_body)] == [408, 408, 408]


async def test_what_is_cut_off_half_way_stores_nothing(world: World) -> None:
    """In the head, in the body, and in a chunk."""
    before = await accounts(world)

    for rest in (
        b"content-length: %d" % len(ACCOUNT),
        b"content-length: %d\r\n\r\n" % len(ACCOUNT) + ACCOUNT[:-1],
        b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(ACCOUNT) + ACCOUNT + b"\r\n",
    ):
        await wire(world, SIGN_UP, rest, hang_up=True)
    await asyncio.sleep(0.1)

    assert await accounts(world) == before
    assert (await world.visitor.post("/v1/accounts", ACCOUNT)).status == 201


async def test_pipelined_requests_are_answered_in_their_order(world: World) -> None:
    """Each on its own merits."""
    sent = [f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode() for path in ("/health", "/v1/me", "/health", "/nothing")]
    reader, writer = await asyncio.open_connection("127.0.0.1", int(world.url.rpartition(":")[2]))

    writer.write(b"".join(sent))
    said = b""
    async with asyncio.timeout(5):
        while said.count(b"HTTP/1.1 ") < 4 or not said.endswith(b"}"):
            said += await reader.read(65536)
    writer.close()

    assert [status_of(b"HTTP/1.1 " + part) for part in said.split(b"HTTP/1.1 ")[1:]] == [200, 401, 200, 404]


NESTED = b'{"a":' * 20_000


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"", "Invalid", "body"),
        (b"{", "Malformed", None),
        (b"[]", "Invalid", "body"),
        (b"null", "Invalid", "body"),
        (b'{"body": 7}', "Invalid", "body.body"),
        (b'{"body": null}', "Invalid", "body.body"),
        (b'{"body": ""}', "Invalid", "body.body"),
        (b'{"lang": "en"}', "Invalid", "body.body"),
        (b'{"body": "a", "likes": 9}', "Invalid", "body.likes"),
        (b'{"body": "a", "body": "b"}', "Invalid", "body.body"),
        (b'{"body": "a", "reply_to": {"id": "x", "author_id": "y"}}', "Invalid", "body.reply_to"),
        (b'{"body": "a", "reply_to": {"id": "x", "id": "x"}}', "Invalid", "body.id"),
        (b'{"body": "a\\u0000b"}', "Invalid", "body.body"),
        (b'{"body": "\\ud800"}', "Invalid", "body.body"),
        (b'{"body": "\xff\xfe"}', "Malformed", None),
        (b'{"body": "\xed\xa0\x80"}', "Invalid", "body.body"),
        (b'{"body": NaN}', "Malformed", None),
        (b'{"body": 1' + b"0" * 5000 + b"}", "Malformed", None),
        (b'{"body": "' + b"a" * 5001 + b'"}', "Invalid", "body.body"),
        (b'{"body": "' + b"a" * 70_000 + b'"}', "TooLarge", None),
        (b'{"body": "a", "visibility": "secret"}', "Invalid", "body.visibility"),
        (b'{"body": "a", "lang": "e"}', "Invalid", "body.lang"),
        (NESTED[:60_000], "Malformed", None),
        (b'\xef\xbb\xbf{"body": "a"}', "Malformed", None),
        ('{"body": "a"}'.encode("utf-16"), "Malformed", None),
        (b'{"body": "a"} {}', "Malformed", None),
    ],
)
async def test_a_bad_body_is_refused_by_the_name_of_its_field(
    world: World, body: bytes, code: str, field: str | None
) -> None:
    """And nothing is published."""
    answer = await world.ana.post("/v1/posts", body)

    assert (400 <= answer.status < 500, answer.code) == (True, code), answer
    if field is not None:
        assert answer.body["errors"][0]["field"].startswith(field), answer
    assert (await world.ana.get(f"/v1/users/{world.ana.id}/posts")).body["items"] == []


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/v1/handles/%00", 404, None),
        ("/v1/handles/%ff", 404, None),
        ("/v1/handles/%ed%a0%80", 404, None),
        ("/v1/handles/" + "a" * 30_000, 404, None),
        ("/v1/users/%00", 404, None),
        ("/v1/users/1", 404, None),
        ("/v1/timelines/public?limit=0", 400, "query.limit"),
        ("/v1/timelines/public?limit=101", 400, "query.limit"),
        ("/v1/timelines/public?limit=99999999999999999999999999", 400, "query.limit"),
        ("/v1/timelines/public?limit=x", 400, "query.limit"),
        ("/v1/timelines/public?limit=", 400, "query.limit"),
        ("/v1/timelines/public?limit=1&limit=2", 400, "query.limit"),
        ("/v1/timelines/public?page=2", 400, "query.page"),
        ("/v1/timelines/public?cursor=x", 400, "query.cursor"),
        ("/v1/timelines/public?cursor=%00", 400, "query.cursor"),
        ("/v1/timelines/public?cursor=%ff", 400, None),
        ("/v1/timelines/public?cursor=" + "A" * 600, 400, "query.cursor"),
        ("/v1/timelines/public?" + "&".join(f"a{n}=1" for n in range(60)), 400, None),
    ],
)
async def test_a_bad_address_is_refused(world: World, path: str, status: int, field: str | None) -> None:
    """What names nothing is not found; what cannot be read is said by its name."""
    said = await wire(world, f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())

    body = json.loads(said.partition(b"\r\n\r\n")[2])
    assert (status_of(said), body["status"]) == (status, status)
    assert field is None or body["errors"][0]["field"] == field


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00%2B14:00", "99999999999", "x", ""])
async def test_an_instant_that_cannot_be_kept_is_refused(world: World, until: str) -> None:
    """At the edge of what a calendar can say, too."""
    muted = await world.ana.put(f"/v1/users/{world.bob.id}/mute?until={until}")
    banned = await world.admin.put(
        f"/v1/admin/users/{world.bob.id}/ban", {"reason": "x", "until": until.replace("%2B", "+")}
    )

    assert [(answer.status, answer.body["errors"][0]["field"]) for answer in (muted, banned)] == [
        (400, "query.until"),
        (400, "body.until"),
    ]


def forgeries(world: World) -> Iterable[tuple[str, str]]:
    """Tokens that say the same as Ana's, or more, and are not ours."""
    token = world.ana.token or ""
    header, claims, signature = token.split(".")
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(claims + "=="))
    named: dict[str, Any] = json.loads(base64.urlsafe_b64decode(header + "=="))
    keyring = world.parts.get(Keyring)
    public = json.dumps(keyring.signing_key.as_dict(private=False)).encode()

    def unsigned(header: dict[str, Any]) -> str:
        parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, said))
        return ".".join(parts)

    yield "no algorithm", unsigned({**named, "alg": "none"}) + "."
    yield "no algorithm, its signature", f"{unsigned({**named, 'alg': 'none'})}.{signature}"
    said["role"] = "admin"
    yield "promoted", f"{header}.{unsigned(named).split('.')[1]}.{signature}"
    other = OKPKey.generate_key("Ed25519")
    yield "another key", jws.serialize_compact(named, json.dumps(said).encode(), other, algorithms=["Ed25519"])
    yield (
        "another key by name",
        jws.serialize_compact(
            {**named, "kid": "mine", "jwk": other.as_dict(private=False)},
            json.dumps(said),
            other,
            algorithms=["Ed25519"],
        ),
    )
    for secret in (public, b"a test key that is long enough to be one"):
        yield (
            "our public key as a secret",
            jws.serialize_compact(
                {**named, "alg": "HS256"}, json.dumps(said), OctKey.import_key(secret), algorithms=["HS256"]
            ),
        )
    yield "cut", token[:-1]
    yield "twice", f"{token}.{token}"
    yield "long", token + "A" * 5000
    yield "nothing much", "x"
    yield "refresh token", world.ana.refresh_token or ""


async def test_a_token_that_is_not_ours_opens_nothing(world: World) -> None:
    """Whatever it says of itself."""
    statuses = {
        name: (await Person(world.client, token=token).get("/v1/me")).status for name, token in forgeries(world)
    }

    assert {name: status for name, status in statuses.items() if status != 401} == {}
    assert (await world.ana.get("/v1/me")).status == 200


async def test_a_token_ends(world: World) -> None:
    """After its ten minutes, although it was known a moment before."""
    assert (await world.ana.get("/v1/me")).status == 200

    world.clock.advance(timedelta(minutes=10, seconds=1))

    assert (await world.ana.get("/v1/me")).code == "NotSignedIn"


async def test_other_peoples_things_are_not_found(world: World) -> None:
    """At every door that takes an id: what is not yours to see or to change does not exist, and stays as it was."""
    ana, eve = world.ana, world.eve
    await world.bob.put(f"/v1/users/{ana.id}/follow")
    post = (await ana.post("/v1/posts", {"body": "for friends", "visibility": "followers"})).body
    session = (await ana.get("/v1/sessions")).body["items"][0]["id"]
    address = f"/v1/users/{ana.id}/posts/{post['id']}"
    moved = f"/v1/users/{eve.id}/posts/{post['id']}"
    ref = {"author_id": str(ana.id), "id": post["id"]}
    before = (await ana.get(address)).body
    tries: list[tuple[str, str, Any]] = [
        *(("GET", f"{address}{end}", None) for end in ("", "/likes", "/reposts", "/replies", "/quotes", "/edits")),
        *((verb, f"{address}/{end}", None) for end in ("like", "bookmark", "repost") for verb in ("PUT",)),
        *(
            (verb, where, body)
            for where in (address, moved)
            for verb, body in (("PATCH", {"body": "x"}), ("DELETE", None))
        ),
        ("POST", "/v1/posts", {"body": "x", "reply_to": ref}),
        ("POST", "/v1/posts", {"body": "x", "quote_of": ref}),
        ("DELETE", f"/v1/sessions/{session}", None),
        ("GET", f"/v1/admin/users/{ana.id}", None),
        ("PUT", f"/v1/admin/users/{ana.id}/tier", {"tier": 5}),
        ("PUT", f"/v1/admin/users/{eve.id}/role", {"role": "admin"}),
        ("PUT", f"/v1/admin/users/{ana.id}/ban", {"reason": "x"}),
        ("DELETE", f"/v1/admin{address.removeprefix('/v1')}?reason=x", None),
        ("PUT", f"/v1/users/{new_id()}/follow", None),
    ]

    statuses = {f"{verb} {path}": (await eve.ask(verb, path, body)).status for verb, path, body in tries}

    assert {name: status for name, status in statuses.items() if status != 404} == {}
    assert (await ana.get(address)).body == before
    assert (await world.bob.get(address)).body["body"] == "for friends"
    assert len((await ana.get("/v1/sessions")).body["items"]) == 1
