"""The scenarios: what is asked of each system, on which data. Requests are whole texts, made before they are sent."""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import jwt
import msgspec

from bench.systems import SECRET, System, ask
from tenfold.entry.sample import PASSWORD
from tenfold.kit.actors import Actor
from tenfold.kit.clock import Clock
from tenfold.kit.ids import new_id
from tenfold.modules.identity import AccessTokens, IdentityPolicy, Keyring
from tenfold.modules.identity.tokens import Bearer

_READERS = 1_000
_POSTS = 20_000
_COMPARED = 25
_FAR = 4_000_000_000


@dataclass
class Cast:
    """Who asks and what for: readers with their tokens at each system, posts, and addresses to sign in with."""

    readers: list[UUID]
    posts: list[tuple[UUID, UUID]]
    emails: list[str]
    tokens: dict[str, list[bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """One kind of request, and the ratios to the peer and to the floor that are to be reached."""

    name: str
    requests: Callable[[Cast, str], Iterator[bytes]]
    target: float | None = None
    floor_target: float | None = None


async def cast(database: Mapping[str, Any]) -> Cast:
    """Choose readers who were here lately, public posts and addresses; the same each time, as far as the data are."""
    connection = await asyncpg.connect(**database)
    try:
        homes = "select user_id from homes where active order by user_id desc limit $1"
        readers = [row[0] for row in await connection.fetch(homes, _READERS)]
        posts = (
            "select author_id, post_id from posts tablesample system (10) repeatable (7) where visibility = 'public'"
        )
        found = [
            (row[0], row[1]) for row in await connection.fetch(f"{posts} and repost_of_id is null limit $1", 200_000)
        ]
        people = "select email from users order by user_id limit $1"
        emails = [row[0] for row in await connection.fetch(people, 5_000)]
    finally:
        await connection.close()
    rng = random.Random(7)
    rng.shuffle(found)
    rng.shuffle(readers)
    chosen = Cast(readers, found[:_POSTS], emails)
    policy = IdentityPolicy(access_token_lasts=timedelta(hours=12))
    tokens = AccessTokens(Keyring([SECRET]), policy=policy, clock=Clock())
    bearers = [Bearer(actor=Actor(id=id_, session_id=new_id(), verified=True), version=1) for id_ in readers]
    chosen.tokens["ours"] = chosen.tokens["floor"] = [tokens.issue(bearer).encode() for bearer in bearers]
    claims = ({"sub": str(id_), "exp": _FAR} for id_ in readers)
    chosen.tokens["peer"] = [jwt.encode(claim, SECRET, algorithm="HS256").encode() for claim in claims]
    return chosen


async def introduce(chosen: Cast, systems: list[System]) -> None:
    """Tell the floor the tokens, and have ours read each home once, so that all of them are awake."""
    for system in systems:
        if system.name == "floor":
            pairs = list(zip(chosen.tokens["floor"], chosen.readers, strict=True))
            for start in range(0, len(pairs), 100):
                known = {token.decode(): user for token, user in pairs[start : start + 100]}
                await ask(system.port, _request("POST", "/bench/tokens", b"", msgspec.json.encode(known)))
        if system.name == "ours":
            for request in itertools.islice(_homes(chosen, "ours"), len(chosen.readers)):
                answer = await ask(system.port, request)
                if answer.status != 200:
                    raise RuntimeError(f"ours answers {answer.status} for a home: {answer.body}")


async def must_agree(chosen: Cast, systems: list[System]) -> None:
    """Raise RuntimeError unless all systems read the same ids in the same order, and take the writes."""
    for make in (_points, _homes, _public):
        streams = [make(chosen, system.name) for system in systems]
        for number in range(_COMPARED):
            answers = [await ask(system.port, next(stream)) for system, stream in zip(systems, streams, strict=True)]
            ids = [_ids(answer.body) for answer in answers]
            if any(answer.status != 200 for answer in answers) or not ids[0] or any(other != ids[0] for other in ids):
                said = [(system.name, answer.status) for system, answer in zip(systems, answers, strict=True)]
                raise RuntimeError(f"the systems disagree on {make.__name__} {number}: {said}\n{ids}")
    for make in (_publishing, _likes, _sign_ins):
        for system in systems:
            answer = await ask(system.port, next(make(chosen, system.name)))
            if not 200 <= answer.status < 300:
                raise RuntimeError(f"{system.name} answers {answer.status} to {make.__name__}: {answer.body}")


def _ids(body: Any) -> list[str]:
    return [post["id"] for post in body.get("items", [body])]


def _request(method: str, path: str, token: bytes = b"", body: bytes | None = None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1".encode(), b"host: bench", b"user-agent: bench"]
    if token:
        lines.append(b"authorization: Bearer " + token)
    if body is not None:
        lines += [b"content-type: application/json", b"content-length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def _points(chosen: Cast, name: str) -> Iterator[bytes]:
    tokens = itertools.cycle(chosen.tokens[name])
    for author_id, post_id in itertools.cycle(chosen.posts):
        yield _request("GET", f"/v1/users/{author_id}/posts/{post_id}", next(tokens))


def _homes(chosen: Cast, name: str) -> Iterator[bytes]:
    for token in itertools.cycle(chosen.tokens[name]):
        yield _request("GET", "/v1/timelines/home?limit=20", token)


def _public(chosen: Cast, name: str) -> Iterator[bytes]:
    return itertools.repeat(_request("GET", "/v1/timelines/public"))


def _publishing(chosen: Cast, name: str) -> Iterator[bytes]:
    for number, token in enumerate(itertools.cycle(chosen.tokens[name])):
        body = {
            "body": f"Benchmark post number {number}, about as long as a post usually is, in plain words.",
            "lang": "en",
        }
        yield _request("POST", "/v1/posts", token, msgspec.json.encode(body))


def _likes(chosen: Cast, name: str) -> Iterator[bytes]:
    """Pairs of a reader and a post, drawn anew: of twenty million, hardly one comes twice."""
    rng = random.Random(new_id().int)
    tokens = chosen.tokens[name]
    while True:
        author_id, post_id = rng.choice(chosen.posts)
        yield _request("PUT", f"/v1/users/{author_id}/posts/{post_id}/like", rng.choice(tokens))


def _sign_ins(chosen: Cast, name: str) -> Iterator[bytes]:
    for email in itertools.cycle(chosen.emails):
        yield _request("POST", "/v1/sessions", b"", msgspec.json.encode({"email": email, "password": PASSWORD}))


SCENARIOS = (
    Scenario("point read", _points, 4.0, 0.5),
    Scenario("home page of 20", _homes, 4.0, 0.6),
    Scenario("public page (cached)", _public),
    Scenario("publish", _publishing, 2.5),
    Scenario("like", _likes),
    Scenario("sign-in", _sign_ins),
)
