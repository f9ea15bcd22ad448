"""The house: one process of Tenfold, put together by hand, in order. Nothing connects before `House.open`."""

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from tenfold import __version__
from tenfold.assembly.contents import MODULES, migration_sources
from tenfold.assembly.engines import mailer_of, realtime_engines, redis_of
from tenfold.assembly.policies import (
    admission_rules,
    gateway_rules,
    http_policy,
    identity_policy,
    keys_of_tokens,
    limit_policy,
    pool_sizes,
    public_url,
    session_rules,
)
from tenfold.assembly.ties import FeedTies
from tenfold.kit.clock import Clock
from tenfold.kit.refusals import CannotStart
from tenfold.modules.chat.hints import Hints
from tenfold.modules.chat.outgoing import Outgoing
from tenfold.modules.chat.shapes import ChatPolicy
from tenfold.modules.chat.ties import Ties
from tenfold.modules.feed.shapes import FeedPolicy
from tenfold.modules.identity import (
    AccessTokens,
    Guard,
    IdentityPolicy,
    Keyring,
    PasswordPolicy,
    Passwords,
    Revocations,
    SubscriptionTokens,
)
from tenfold.platform.announcer import Announcer
from tenfold.platform.bus import Bus
from tenfold.platform.bus.listeners import stop
from tenfold.platform.bus.postgres import PostgresBus
from tenfold.platform.bus.redis import RedisBus
from tenfold.platform.cache import Cache
from tenfold.platform.cache.memory import MemoryCache
from tenfold.platform.db import Database, Migrations
from tenfold.platform.exports import Exports
from tenfold.platform.http.app import Application
from tenfold.platform.http.doors import Door
from tenfold.platform.http.gate import Gate
from tenfold.platform.http.openapi import document_of
from tenfold.platform.http.router import Router
from tenfold.platform.http.rpc import Rpc
from tenfold.platform.http.standing import standing_handlers
from tenfold.platform.jobs.pgqueuer import Queue
from tenfold.platform.jobs.registry import Registry
from tenfold.platform.jobs.worker import Worker
from tenfold.platform.limits import Limits
from tenfold.platform.limits.memory import MemoryLimits
from tenfold.platform.mail import Mailer
from tenfold.platform.mail.templates import Templates, mail_folders
from tenfold.platform.module import Module
from tenfold.platform.observe.health import Check, RoomToWrite, readiness
from tenfold.platform.parts import Parts
from tenfold.platform.realtime import Realtime
from tenfold.platform.realtime.admission import Admission
from tenfold.platform.realtime.gateway import Gateway, Seat
from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.lobby import Authenticated, Lobby, Permit
from tenfold.platform.realtime.websocket import RealtimeEndpoint
from tenfold.settings import Settings


class House:
    """One process's worth of Tenfold, built from settings. `open` connects it, `close` lets go in the reverse order."""

    def __init__(
        self,
        settings: Settings,
        dsn: str,
        options: Mapping[str, Any] | None = None,
        *,
        modules: Sequence[Module] = MODULES,
        clock: Clock | None = None,
        mailer: Mailer | None = None,
        alone: bool = False,
    ) -> None:
        """`alone` says that no other process is expected: live messages travel over the bus only while one is heard."""
        self.settings = settings
        self.modules = modules
        self.parts = Parts()
        add = self.parts.add

        self.clock = add(Clock, clock or Clock())
        self.db = add(Database, Database(dsn, sizes=pool_sizes(settings), clock=self.clock, **(options or {})))
        if settings.database.url is None:
            self.db.before_writing = RoomToWrite(settings.data)
        self.migrations = add(Migrations, Migrations(self.db, migration_sources(modules)))
        self.redis = redis_of(settings)
        self.bus = add(Bus, RedisBus(self.redis) if self.redis else PostgresBus(self.db))
        self.cache = add(Cache, MemoryCache(settings.cache.max_bytes, clock=self.clock))
        self.cache.attach(self.bus)
        self.limits = add(Limits, MemoryLimits(self.clock))
        self.hub = Hub(
            *realtime_engines(settings, self.redis, self.bus, alone=alone),
            check_every=settings.realtime.check_every.total_seconds(),
            check_durable_every=settings.realtime.check_durable_every.total_seconds(),
            durable_epoch=settings.realtime.epoch,
            clock=self.clock,
        )
        self.realtime = add(Realtime, self.hub)
        self.mailer = add(Mailer, mailer or mailer_of(settings, self.clock))
        add(Exports, Exports({module.name: module.export for module in modules if module.export is not None}))

        self.registry = Registry(job for module in modules for job in module.all_jobs())
        self.queue = add(Queue, Queue(self.db, self.registry))
        self.db.outbox = Announcer(self.queue, self.bus, self.realtime)

        self._add_identity()
        add(FeedPolicy, FeedPolicy(**settings.feed.model_dump()))
        chat_policy = add(ChatPolicy, ChatPolicy(**settings.chat.model_dump()))
        add(Ties, FeedTies())
        self._hints = add(Hints, Hints(self.db, self.realtime, chat_policy))
        self._outgoing = add(Outgoing, Outgoing(self.db, chat_policy))
        self.lobby = add(Lobby, self._lobby())
        self._keeping_up: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Build now what is else built when it is first called: a house that processes will share by forking."""
        _ = self.rpc

    async def open(self, *, migrate: bool = False) -> None:
        """Connect to the database and the bus, and learn what was revoked lately.

        Raises `Unavailable` without a database, `CannotStart` when its schema is not ours and `migrate` is not given.
        """
        await self.db.open()
        if migrate:
            await self.migrations.apply()
        elif pending := await self.migrations.pending():
            raise CannotStart(
                f"The database lacks {len(pending)} migrations of this version; run `tenfold migrate` first."
            )
        await self.bus.open()
        await self.hub.open()
        await self.revocations.open()
        if self.bus.loses_in_silence:
            self._keeping_up = asyncio.create_task(self.revocations.keep_up(), name="revocations")

    async def close(self) -> None:
        """Let go of everything that `open` took."""
        await stop(self._keeping_up)
        self._hints.close()
        await self.hub.close()
        await self.bus.close()
        self._outgoing.close()
        await self.db.close()
        self.passwords.close()

    def doors(self) -> list[Door]:
        """Every HTTP door, module by module."""
        return [door for module in self.modules for door in module.doors()]

    def gate(self) -> Gate:
        """Who may come in at the doors, and what it costs."""
        budgets = limit_policy(self.settings) if self.settings.limits.enabled else None
        return Gate(self.tokens.authenticate, self.limits, budgets, http_policy(self.settings))

    def document(self) -> dict[str, Any]:
        """The OpenAPI document of all doors."""
        return document_of(
            self.doors(), title=self.settings.identity.app_name, version=__version__, server=public_url(self.settings)
        )

    def socket(self) -> RealtimeEndpoint:
        """The WebSocket endpoint of this process."""
        return RealtimeEndpoint(self.lobby, self._admission(), queue_size=self.settings.realtime.queue)

    def gateway(self, capacity: int, metrics_text: Callable[[], bytes], seat: Seat | None = None) -> Gateway:
        """The gateway of this process: sockets only, at most so many, which it counts in its seat, if it has one."""
        rules = gateway_rules(self.settings, capacity)
        return Gateway(self.lobby, self._admission(), rules, metrics_text=metrics_text, seat=seat)

    def application(self, socket: RealtimeEndpoint) -> Application:
        """The ASGI application: every door, the standing ones, and the socket."""
        return Application(self.router, self.gate().policy, socket)

    @functools.cached_property
    def router(self) -> Router:
        """Every door and the standing ones, for requests and for calls over sockets."""
        return Router(self.doors(), self.parts, self.gate(), standing_handlers(self.document, self.checks))

    @functools.cached_property
    def rpc(self) -> Rpc:
        """The doors for those who are connected."""
        return Rpc(self.router, log_requests=self.settings.log.requests == "all")

    def worker(self) -> Worker:
        """What runs this process's share of the jobs."""
        return Worker(
            self.db,
            self.queue,
            self.parts,
            bus=self.bus,
            concurrency=self.settings.jobs.concurrency,
            poll=self.settings.jobs.poll,
        )

    async def checks(self) -> Sequence[Check]:
        """Whether this process can do its work: the database answers, its schema is ours, the disk has room.

        Asked once a second at most, however many want to know.
        """
        ask = functools.partial(readiness, self.db, self.migrations, self.settings.data)
        return await self.cache.get("readiness", "checks", ask, ttl=timedelta(seconds=1))

    def _add_identity(self) -> None:
        settings, add = self.settings, self.parts.add
        policy = add(IdentityPolicy, identity_policy(settings))
        keyring = add(Keyring, Keyring(keys_of_tokens(settings)))
        self.passwords = add(Passwords, Passwords(PasswordPolicy(**settings.passwords.model_dump())))
        self.tokens = add(AccessTokens, AccessTokens(keyring, policy=policy, clock=self.clock))
        add(
            Guard,
            Guard(
                db=self.db,
                passwords=self.passwords,
                limits=self.limits,
                keyring=keyring,
                tokens=self.tokens,
                policy=policy,
                cache=self.cache,
            ),
        )
        add(Templates, Templates(mail_folders(self.modules), app=policy.app_name, home=policy.public_url))
        self.revocations = Revocations(self.bus, self.tokens, realtime=self.hub, db=self.db)
        add(SubscriptionTokens, SubscriptionTokens(keyring, policy=policy, clock=self.clock))

    def _admission(self) -> Admission:
        return Admission(admission_rules(self.settings))

    def _lobby(self) -> Lobby:
        return Lobby(
            self.hub,
            self._signed_in,
            channels=[channel.bound(self.parts) for module in self.modules for channel in module.channels()],
            # The doors are built when they are first called: one of them asks for this lobby.
            call=lambda caller, method, data: self.rpc(caller, method, data),
            subscription_of=self._permit,
            rules=session_rules(self.settings),
            clock=self.clock,
            version=f"tenfold {__version__}",
        )

    async def _permit(self, token: str) -> Permit:
        return self.parts.get(SubscriptionTokens).read(token)

    async def _signed_in(self, token: str) -> Authenticated:
        borne = self.tokens.read(token)
        return Authenticated(borne.actor, borne.expires_at)
