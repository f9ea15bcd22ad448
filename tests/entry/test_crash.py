"""How a server ends, by `kill -9` and by a signal, under load: what was answered is there, once; and as nobody."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.entry.running import Serving, give_to_nobody, serving, signed_up, until

PEOPLE = ("ana", "bob", "eve", "kim")
LOAD = 1.0


@dataclass
class Sent:
    """One request, and its answer if one came."""

    method: str
    path: str
    body: dict[str, str] | None
    headers: dict[str, str]
    status: int | None = None
    answer: Any = None


@dataclass
class Writer:
    """Somebody who publishes, likes what they published, and follows, one request after the other."""

    id: str
    headers: dict[str, str]
    others: list[str]
    sent: list[Sent] = field(default_factory=list)

    def requests(self) -> Iterator[Sent]:
        """Without end; a like follows the post that it is for."""
        for number in itertools.count():
            key = {**self.headers, "idempotency-key": f"{self.id}-{number}"}
            post = Sent("POST", "/v1/posts", {"body": f"post {number} of {self.id}"}, key)
            yield post
            if post.answer:
                yield Sent("PUT", f"/v1/users/{self.id}/posts/{post.answer['id']}/like", None, self.headers)
            if number < len(self.others):
                yield Sent("PUT", f"/v1/users/{self.others[number]}/follow", None, self.headers)

    async def write(self, client: httpx2.AsyncClient) -> None:
        """Go on until the server is gone."""
        for request in self.requests():
            self.sent.append(request)
            try:
                await ask(client, request)
            except httpx2.TransportError:
                return

    @property
    def posts(self) -> list[Sent]:
        """The posts among what was sent."""
        return [request for request in self.sent if request.method == "POST"]


async def ask(client: httpx2.AsyncClient, request: Sent) -> None:
    response = await client.request(request.method, request.path, json=request.body, headers=request.headers)
    request.answer = response.json() if response.content else None
    request.status = response.status_code


async def everything(client: httpx2.AsyncClient, path: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    """All pages of a list."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await client.get(path, params={"limit": "100", **cursor}, headers=headers)).json()
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = {"cursor": page["next"]}


async def test_what_was_answered_outlives_a_kill(place: Path) -> None:
    """Every answered write is there, none is doubled by its repetition, and followers get all that was published."""
    data = place / "killed"
    with serving(data) as server:
        writers = await under_load(server, server.kill)
        left_over = server.postgres()
    told = {request.answer["id"]: request for writer in writers for request in writer.posts if request.status == 201}
    assert len(told) > 10

    with serving(data) as server:
        assert not set(left_over) & set(server.postgres())
        async with httpx2.AsyncClient(base_url=server.url, timeout=10) as client:
            await must_be_stored(client, writers)
            for request in (request for writer in writers for request in writer.sent):
                before = request.answer
                await ask(client, request)
                assert request.status in (201, 204), request
                assert before is None or before == request.answer
            await must_be_stored(client, writers, exactly=True)
            await must_be_delivered(client, writers)
        assert server.stop() == 0


async def under_load(server: Serving, end: Any) -> list[Writer]:
    """Have everybody write for a while, then end the server in the middle of it."""
    with server.client as client:
        people = [signed_up(client, name) for name in PEOPLE]
    ids = [id for id, _ in people]
    writers = [Writer(id, headers, [other for other in ids if other != id]) for id, headers in people]
    async with httpx2.AsyncClient(base_url=server.url, timeout=10) as client, asyncio.TaskGroup() as tasks:
        for writer in writers:
            tasks.create_task(writer.write(client))
        await asyncio.sleep(LOAD)
        await asyncio.to_thread(end)
    return writers


async def must_be_stored(client: httpx2.AsyncClient, writers: list[Writer], *, exactly: bool = False) -> None:
    """What was answered is there; with `exactly`, everything that was ever sent is there once and nothing else."""
    for writer in writers:
        stored = [post["body"] for post in await everything(client, f"/v1/users/{writer.id}/posts", writer.headers)]
        answered = {request.body["body"] for request in writer.posts if request.status == 201 and request.body}
        assert answered <= set(stored)
        assert len(set(stored)) == len(stored)
        liked = [post["body"] for post in await everything(client, "/v1/me/likes", writer.headers)]
        likes = [request for request in writer.sent if request.path.endswith("/like") and request.status == 204]
        assert len(liked) >= len(likes)
        if exactly:
            assert set(stored) == answered
            assert len(liked) == len({request.path for request in likes})


async def must_be_delivered(client: httpx2.AsyncClient, writers: list[Writer]) -> None:
    """Every home has each post of everybody that its reader follows: what was pending at the kill is done."""
    published = {writer.id: {post.answer["id"] for post in writer.posts} for writer in writers}
    for writer in writers:
        followed = {request.path.split("/")[3] for request in writer.sent if request.path.endswith("/follow")}
        expected = set().union(*(published[id] for id in (*followed, writer.id)))
        for _ in range(100):
            home = await everything(client, "/v1/timelines/home", writer.headers)
            if expected <= {post["id"] for post in home}:
                break
            await asyncio.sleep(0.1)
        assert expected <= {post["id"] for post in home}
        assert len({post["id"] for post in home}) == len(home)


async def test_the_end_by_signal_answers_what_is_in_flight(place: Path) -> None:
    """Under load too: nobody who was being served is cut off, the exit code is 0, and no database is left running."""
    slow = {"TENFOLD_PASSWORDS__TIME_COST": "20", "TENFOLD_PASSWORDS__MEMORY_KIB": str(32 * 1024)}
    with serving(place / "ended", **slow) as server:
        with server.client as client:
            _, headers = signed_up(client, "ana")
        writer = Writer("ana", headers, [])
        async with httpx2.AsyncClient(base_url=server.url, timeout=20) as client:
            writing = asyncio.create_task(writer.write(client))
            signing_in = [asyncio.create_task(sign_in(server.url)) for _ in range(3)]
            await asyncio.sleep(0.3)
            code = await asyncio.to_thread(server.stop)
            statuses = await asyncio.gather(*signing_in)
            await writing

        assert statuses == [401, 401, 401]
        assert code == 0
        assert len([request for request in writer.sent if request.status == 201]) >= len(writer.posts) - 1
        assert until(lambda: server.postgres() == [])
        assert "Traceback" not in server.log.read_text()


async def sign_in(url: str) -> int:
    """On a connection of its own, with a password that takes its time to be refused."""
    async with httpx2.AsyncClient(base_url=url, timeout=20) as client:
        return (await client.post("/v1/sessions", json={"email": "ana@example.org", "password": "x"})).status_code


def test_an_ordinary_user_needs_nothing_of_the_system(place: Path) -> None:
    """From a new folder to a published post, without root; and only that user may read what is stored."""
    data = give_to_nobody(place / "of-nobody")

    with serving(data, nobody=True) as server, server.client as client:
        _, headers = signed_up(client, "ana")
        published = client.post("/v1/posts", json={"body": "hello"}, headers=headers)
        home = client.get("/v1/timelines/home", headers=headers).json()["items"]
        assert server.stop() == 0

    assert [post["id"] for post in home] == [published.json()["id"]]
    assert {path.stat().st_uid for path in data.rglob("*")} == {data.stat().st_uid}
    for kept in ("postgres/cluster", "secrets", "postgres/password"):
        assert (data / kept).stat().st_mode & 0o077 == 0, kept
