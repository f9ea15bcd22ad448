"""The peer's application: FastAPI doors with PyJWT, a limiter in memory, and pydantic answers."""

import asyncio
import hashlib
import json
import os
import secrets
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import URL, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from bench.peers.fastapi_sqlalchemy import feed
from bench.peers.fastapi_sqlalchemy.schemas import Card, Draft, PostOut, PostPage, SignedIn, SignIn
from bench.peers.fastapi_sqlalchemy.tables import Credential, Email, RefreshToken, Session, User
from tenfold.kit.ids import new_id

DATABASE = json.loads(os.environ["BENCH_DATABASE"])
SECRET = os.environ["BENCH_SECRET"]
PUBLIC_FOR = 5.0

engine = create_async_engine(
    URL.create(
        "postgresql+asyncpg",
        username=DATABASE["user"],
        password=DATABASE["password"],
        database=DATABASE["database"],
        query={"host": DATABASE["host"], "port": str(DATABASE["port"])},
    ),
    pool_size=10,
    max_overflow=0,
)
sessions = async_sessionmaker(engine, expire_on_commit=False)
readers = async_sessionmaker(engine.execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False)
hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
bearer = HTTPBearer(auto_error=False)


async def database() -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session


async def reading() -> AsyncIterator[AsyncSession]:
    async with readers() as session:
        yield session


async def signed_in(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> UUID:
    if credentials is None:
        raise HTTPException(401)
    try:
        claims = jwt.decode(credentials.credentials, SECRET, algorithms=["HS256"], options={"require": ["exp", "sub"]})
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None
    limiter.charge(claims["sub"])
    return UUID(claims["sub"])


class Limiter:
    """A fixed window per asker, in memory. (slowapi's sweeps all keys a hundred times a second, in a thread.)"""

    def __init__(self, calls: int, seconds: float) -> None:
        self.calls, self.seconds = calls, seconds
        self.windows: dict[str, tuple[float, int]] = {}

    def charge(self, asker: str) -> None:
        now = time.monotonic()
        until, used = self.windows.get(asker, (0.0, 0))
        if until < now:
            until, used = now + self.seconds, 0
        if used >= self.calls:
            raise HTTPException(429, headers={"retry-after": str(int(until - now) + 1)})
        self.windows[asker] = (until, used + 1)


limiter = Limiter(100_000_000, 900.0)


async def anybody(request: Request) -> None:
    limiter.charge(request.client.host if request.client else "")


Db = Annotated[AsyncSession, Depends(database)]
Reader = Annotated[AsyncSession, Depends(reading)]
Me = Annotated[UUID, Depends(signed_in)]
PageSize = Annotated[int, Query(ge=1, le=100)]

app = FastAPI()
_public: dict[int, tuple[float, bytes]] = {}


@app.get("/v1/users/{author_id}/posts/{post_id}")
async def get_post(author_id: UUID, post_id: UUID, *, me: Me, db: Reader) -> PostOut:
    post = await feed.find_post(db, me, author_id, post_id)
    if post is None:
        raise HTTPException(404)
    return post


@app.get("/v1/timelines/home")
async def get_home(me: Me, db: Reader, limit: PageSize = 20) -> PostPage:
    posts = await feed.home(db, me, limit)
    return PostPage(items=posts, next=str(posts[-1].id) if len(posts) == limit else None)


@app.get("/v1/timelines/public", response_model=PostPage, dependencies=[Depends(anybody)])
async def get_public(limit: PageSize = 20) -> Response:
    kept = _public.get(limit)
    if kept is None or kept[0] < time.monotonic():
        async with readers() as session:
            posts = await feed.public(session, limit)
        page = PostPage(items=posts, next=str(posts[-1].id) if len(posts) == limit else None)
        kept = _public[limit] = (time.monotonic() + PUBLIC_FOR, page.model_dump_json().encode())
    return Response(kept[1], media_type="application/json")


@app.post("/v1/posts", status_code=201)
async def publish(draft: Draft, me: Me, background: BackgroundTasks) -> PostOut:
    # Not a dependency: that one would be held while the background task waits for another connection.
    async with sessions() as session:
        post_id = await feed.publish(session, me, draft.model_dump())
        post = await feed.find_post(session, me, me, post_id)
    assert post is not None
    background.add_task(fan_out, me, post_id)
    return post


async def fan_out(author_id: UUID, post_id: UUID) -> None:
    async with sessions() as session:
        await feed.fan_out(session, author_id, post_id)


@app.put("/v1/users/{author_id}/posts/{post_id}/like", status_code=204)
async def like(author_id: UUID, post_id: UUID, *, me: Me, db: Db) -> None:
    if not await feed.like(db, me, author_id, post_id):
        raise HTTPException(404)


@app.post("/v1/sessions", status_code=201, dependencies=[Depends(anybody)])
async def sign_in(request: Request, data: SignIn, db: Db) -> SignedIn:
    found = (
        await db.execute(
            select(User, Credential.password_hash)
            .join(Email, Email.user_id == User.user_id)
            .join(Credential, Credential.user_id == User.user_id)
            .where(Email.email_key == data.email.casefold())
        )
    ).one_or_none()
    if found is None:
        raise HTTPException(401)
    user, password_hash = found
    try:
        await asyncio.to_thread(hasher.verify, password_hash, data.password)
    except VerifyMismatchError:
        raise HTTPException(401) from None
    now, token, session_id = datetime.now(UTC), secrets.token_urlsafe(32), new_id()
    db.add(
        Session(
            user_id=user.user_id,
            session_id=session_id,
            device="",
            user_agent=request.headers.get("user-agent", ""),
            address=request.client.host if request.client else "",
            second_factor=False,
            created_at=now,
            last_seen_at=now,
            expires_at=now + timedelta(days=30),
        )
    )
    await db.flush()
    digest = hashlib.sha256(token.encode()).digest()
    db.add(RefreshToken(user_id=user.user_id, session_id=session_id, generation=1, token_hash=digest, issued_at=now))
    await db.commit()
    claims = {"sub": str(user.user_id), "exp": now + timedelta(minutes=10)}
    access = jwt.encode(claims, SECRET, algorithm="HS256")
    return SignedIn(access_token=access, refresh_token=token, expires_in=600, user=Card.model_validate(user))
