"""The floor: the statements of ours on a bare asyncpg pool, behind a bare ASGI callable, with msgspec.

It does nothing else: no routing table, no limits, no policy, no metrics; who asks is a dict look-up of the token.
What is slower than this is the price of the house.
"""

import asyncio
import hashlib
import json
import os
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from argon2 import PasswordHasher

from tenfold.kit.ids import new_id
from tenfold.modules.feed.queries import homes, posts, reactions, timelines
from tenfold.modules.feed.shapes import LAST, NIL, Draft, PostRow
from tenfold.modules.feed.shaping import to_page, to_posts
from tenfold.modules.identity import UserCard
from tenfold.modules.identity.queries import sessions
from tenfold.modules.identity.shapes import SignIn
from tenfold.platform.db import Statement

DATABASE = json.loads(os.environ["BENCH_DATABASE"])
PUBLIC_FOR = 5.0
_LIMIT = 20
_JSON = (b"content-type", b"application/json")
_encode = msgspec.json.Encoder().encode
_draft = msgspec.json.Decoder(Draft).decode
_sign_in = msgspec.json.Decoder(SignIn).decode


class Floor:
    """The application: a pool, the tokens, and the cards of everybody."""

    def __init__(self) -> None:
        self.pool: Any = None
        self.tokens: dict[bytes, UUID] = {}
        self.cards: dict[UUID, UserCard] = {}
        self.public: tuple[float, bytes] = (0.0, b"")
        self.hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self.background: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Connect, and load what the gate and the cache of ours would know."""
        self.pool = await asyncpg.create_pool(
            **DATABASE, min_size=1, max_size=10, statement_cache_size=1024, connection_class=_Connection
        )
        rows = await self.pool.fetch("select user_id, handle, name, avatar from users")
        self.cards = {row["user_id"]: UserCard(*row) for row in rows}

    async def fetch(self, statement: Statement[Any], **values: object) -> list[Any]:
        """Run one of our statements."""
        return await self.pool.fetch(statement.sql, *[values[name] for name in statement.parameters])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        status, body = await self._answer(scope, receive)
        headers = [_JSON, (b"content-length", b"%d" % len(body))] if body else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        await self.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Any, receive: Any) -> tuple[int, bytes]:
        path, method = scope["path"], scope["method"]
        if path == "/v1/timelines/public":
            return 200, await self._public_page()
        body = await _body(receive) if method != "GET" else b""
        if path == "/v1/sessions":
            return 201, await self._open_session(_sign_in(body))
        if path == "/bench/tokens":
            self.tokens.update((token.encode(), UUID(user)) for token, user in msgspec.json.decode(body).items())
            return 204, b""
        viewer = next(self.tokens[value[7:]] for name, value in scope["headers"] if name == b"authorization")
        if path == "/v1/timelines/home":
            return 200, await self._home(viewer)
        if path == "/v1/posts":
            return 201, await self._publish(viewer, _draft(body))
        _, _, _, author, _, post, *rest = path.split("/")
        if rest:
            await self.fetch(
                reactions.like_post,
                viewer_id=viewer,
                author_id=UUID(author),
                post_id=UUID(post),
                like_id=new_id(),
            )
            return 204, b""
        return 200, await self._point(viewer, UUID(author), UUID(post))

    async def _point(self, viewer: UUID, author_id: UUID, post_id: UUID) -> bytes:
        asked = {"viewer_id": viewer, "author_id": author_id, "post_id": post_id}
        rows = await self.fetch(posts.find_plain_post, **asked) or await self.fetch(posts.find_post, **asked)
        return _encode(to_posts([PostRow(*row) for row in rows], self.cards, signed_in=True)[0])

    async def _home(self, viewer: UUID) -> bytes:
        shape = timelines.list_home.shape
        assert shape is not None
        rows = await self.fetch(
            timelines.list_home, viewer_id=viewer, before=LAST, limit=_LIMIT + 1, now=datetime.now(UTC)
        )
        return _encode(to_page([shape(*row) for row in rows], self.cards, signed_in=True, limit=_LIMIT))

    async def _public_page(self) -> bytes:
        if self.public[0] < time.monotonic():
            rows = await self.fetch(
                timelines.list_public, viewer_id=None, before=LAST, limit=_LIMIT + 1, now=datetime.now(UTC)
            )
            page = to_page([PostRow(*row) for row in rows], self.cards, signed_in=False, limit=_LIMIT)
            self.public = (time.monotonic() + PUBLIC_FOR, _encode(page))
        return self.public[1]

    async def _publish(self, author_id: UUID, draft: Draft) -> bytes:
        now, post_id = datetime.now(UTC), new_id()
        values = {
            "author_id": author_id,
            "post_id": post_id,
            "body": draft.body,
            "visibility": draft.visibility,
            "lang": draft.lang,
        }
        await self.fetch(posts.insert_post, **values, now=now)
        task = asyncio.create_task(self._fan_out(author_id, post_id))
        self.background.add(task)
        task.add_done_callback(self.background.discard)
        return _encode({"id": post_id, "author": self.cards[author_id], "created_at": now, **values})

    async def _fan_out(self, author_id: UUID, post_id: UUID) -> None:
        await self.fetch(homes.insert_public_post, author_id=author_id, post_id=post_id)
        await self.fetch(homes.push_to_followers, author_id=author_id, post_id=post_id, after=NIL, limit=1_000)

    async def _open_session(self, request: SignIn) -> bytes:
        (row,) = await self.fetch(sessions.find_sign_in, email_key=request.email)
        await asyncio.to_thread(self.hasher.verify, row[1], request.password)
        now, token, session_id = datetime.now(UTC), secrets.token_urlsafe(32), new_id()
        await self.fetch(
            sessions.insert_session,
            user_id=row[0],
            session_id=session_id,
            device="",
            user_agent="",
            address="",
            second_factor=False,
            token_hash=hashlib.sha256(token.encode()).digest(),
            now=now,
            expires_at=now + timedelta(days=30),
        )
        return _encode({"access_token": secrets.token_urlsafe(200), "refresh_token": token, "user": self.cards[row[0]]})


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


class _Connection(asyncpg.Connection):
    def get_reset_query(self) -> str:
        return ""


app = Floor()
