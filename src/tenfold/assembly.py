"""The table of contents: settings → platform → modules, by hand, in order. Nothing connects before `House.open`."""

import asyncio
import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from tenfold import __version__
from tenfold.kit.clock import Clock
from tenfold.kit.refusals import CannotStart
from tenfold.modules.chat.hints import Hints
from tenfold.modules.chat.manifest import module as chat
from tenfold.modules.chat.shapes import ChatPolicy
from tenfold.modules.chat.ties import Tie, Ties
from tenfold.modules.feed import blocked_among, relationship
from tenfold.modules.feed.manifest import module as feed
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
from tenfold.modules.identity.manifest import module as identity
from tenfold.platform.announcer import Announcer
from tenfold.platform.audit.manifest import module as audit
from tenfold.platform.bus import Bus
from tenfold.platform.bus.listeners import stop
from tenfold.platform.bus.manifest import module as bus
from tenfold.platform.bus.postgres import PostgresBus
from tenfold.platform.bus.redis import RedisBus
from tenfold.platform.cache import Cache
from tenfold.platform.cache.memory import MemoryCache
from tenfold.platform.db import Database, Migrations, PoolSizes, Read, Source
from tenfold.platform.db.manifest import module as db
from tenfold.platform.exports import Exports
from tenfold.platform.http.app import Application
from tenfold.platform.http.doors import Door
from tenfold.platform.http.gate import Gate, HttpPolicy
from tenfold.platform.http.manifest import module as http
from tenfold.platform.http.openapi import document_of
from tenfold.platform.http.router import Router
from tenfold.platform.http.rpc import Rpc
from tenfold.platform.http.standing import standing_handlers
from tenfold.platform.jobs.manifest import module as jobs
from tenfold.platform.jobs.pgqueuer import Queue
from tenfold.platform.jobs.registry import Registry
from tenfold.platform.jobs.worker import Worker
from tenfold.platform.limits import Limits, Rate
from tenfold.platform.limits.memory import MemoryLimits
from tenfold.platform.limits.policy import LimitPolicy
from tenfold.platform.mail import Mailer
from tenfold.platform.mail.folder import FolderMailer
from tenfold.platform.mail.smtp import SmtpMailer, SmtpServer
from tenfold.platform.mail.templates import Templates, mail_folders
from tenfold.platform.module import Module
from tenfold.platform.observe.health import Check, RoomToWrite, readiness
from tenfold.platform.parts import Parts
from tenfold.platform.realtime import Realtime
from tenfold.platform.realtime.admission import Admission, AdmissionRules
from tenfold.platform.realtime.broker import Broker
from tenfold.platform.realtime.gateway import Gateway, GatewayRules
from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.lobby import Authenticated, Lobby, Permit, SessionRules
from tenfold.platform.realtime.presence import Presence
from tenfold.platform.realtime.redis import RedisBroker
from tenfold.platform.realtime.redis_presence import RedisPresence
from tenfold.platform.realtime.relay import RelayedBroker
from tenfold.platform.realtime.relay_presence import RelayedPresence
from tenfold.platform.realtime.websocket import RealtimeEndpoint
from tenfold.platform.redis import Address, Redis, RedisCluster
from tenfold.settings import Settings

MODULES: tuple[Module, ...] = (db, bus, jobs, audit, http, identity, feed, chat)
"""Everything that brings tables, doors, jobs or statements: the platform, then modules from the lowest floor up."""


def migration_sources(modules: Iterable[Module] = MODULES) -> list[Source]:
    """The migrations of every part and module, in the order in which they are applied."""
    return [Source(module.name, module.migrations) for module in modules if module.migrations is not None]


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
        """`alone` says that sockets are served here only, so live messages need not travel over the bus from here.

        They are heard from there all the same: a worker may have joined us.
        """
        self.settings = settings
        self.modules = modules
        self.parts = Parts()
        add = self.parts.add

        self.clock = add(Clock, clock or Clock())
        self.db = add(Database, Database(dsn, sizes=_pools(settings), clock=self.clock, **(options or {})))
        if settings.database.url is None:
            self.db.before_writing = RoomToWrite(settings.data)
        self.migrations = add(Migrations, Migrations(self.db, migration_sources(modules)))
        self.redis = _redis(settings)
        self.bus = add(Bus, RedisBus(self.redis) if self.redis else PostgresBus(self.db))
        self.cache = add(Cache, MemoryCache(settings.cache.max_bytes, clock=self.clock))
        self.cache.attach(self.bus)
        self.limits = add(Limits, MemoryLimits(self.clock))
        self.hub = Hub(
            *self._engines(alone=alone),
            check_every=settings.realtime.check_every.total_seconds(),
            check_durable_every=settings.realtime.check_durable_every.total_seconds(),
            durable_epoch=settings.realtime.epoch,
            clock=self.clock,
        )
        self.realtime = add(Realtime, self.hub)
        self.mailer = add(Mailer, mailer or _mailer(settings, self.clock))
        add(Exports, Exports({module.name: module.export for module in modules if module.export is not None}))

        self.registry = Registry(job for module in modules for job in module.all_jobs())
        self.queue = add(Queue, Queue(self.db, self.registry))
        self.db.outbox = Announcer(self.queue, self.bus, self.realtime)

        self._add_identity()
        add(FeedPolicy, FeedPolicy(**settings.feed.model_dump()))
        chat_policy = add(ChatPolicy, ChatPolicy(**settings.chat.model_dump()))
        add(Ties, FeedTies())
        add(Hints, Hints(self.db, self.realtime, chat_policy))
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
        await self.hub.close()
        await self.bus.close()
        await self.db.close()
        self.passwords.close()

    def doors(self) -> list[Door]:
        """Every HTTP door, module by module."""
        return [door for module in self.modules for door in module.doors()]

    def gate(self) -> Gate:
        """Who may come in at the doors, and what it costs."""
        http_settings = self.settings.http
        policy = HttpPolicy(
            trusted_proxies=http_settings.trusted_proxies,
            cors_origins=http_settings.cors_origins,
            verified_only=frozenset(self.settings.identity.verified_only),
            compression=http_settings.compression,
            log_requests=self.settings.log.requests == "all",
        )
        budgets = _limit_policy(self.settings) if self.settings.limits.enabled else None
        return Gate(self.tokens.authenticate, self.limits, budgets, policy)

    def document(self) -> dict[str, Any]:
        """The OpenAPI document of all doors."""
        return document_of(
            self.doors(), title=self.settings.identity.app_name, version=__version__, server=public_url(self.settings)
        )

    def socket(self) -> RealtimeEndpoint:
        """The WebSocket endpoint of this process."""
        return RealtimeEndpoint(self.lobby, self._admission(), queue_size=self.settings.realtime.queue)

    def gateway(self, capacity: int, metrics_text: Callable[[], bytes]) -> Gateway:
        """The gateway of this process: sockets only, at most so many."""
        numbers, realtime = self.settings.gateway, self.settings.realtime
        rules = GatewayRules(
            capacity=capacity,
            queue_size=realtime.queue,
            read_buffer=numbers.read_buffer,
            largest_message=4 * realtime.max_frame,
            handshake_timeout=numbers.handshake_timeout.total_seconds(),
        )
        return Gateway(self.lobby, self._admission(), rules, metrics_text=metrics_text)

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

    def _engines(self, *, alone: bool) -> tuple[Broker, Presence]:
        """What carries live messages between processes and knows who is there: Redis, or the bus."""
        numbers = self.settings.realtime
        if self.redis is None:
            broker = RelayedBroker(
                self.bus, speaks=not alone, history_size=numbers.history_size, history_ttl=numbers.history_ttl
            )
            return broker, RelayedPresence(self.bus, speaks=not alone)
        broker = RedisBroker(self.redis, history_size=numbers.history_size, history_ttl=numbers.history_ttl)
        return broker, RedisPresence(self.redis)

    def _add_identity(self) -> None:
        settings, add = self.settings, self.parts.add
        policy = add(IdentityPolicy, _identity_policy(settings))
        keyring = add(Keyring, Keyring(_keys(settings)))
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
        realtime = self.settings.realtime
        rules = AdmissionRules(
            allowed_origins=frozenset(self.settings.http.cors_origins),
            trusted_proxies=self.settings.http.trusted_proxies,
            sockets_per_address=realtime.sockets_per_address,
            handshakes_per_address=realtime.handshakes_per_address.calls,
            handshake_window=realtime.handshakes_per_address.period.total_seconds(),
        )
        return Admission(rules)

    def _lobby(self) -> Lobby:
        numbers = self.settings.realtime
        rules = SessionRules(
            frame_size=numbers.max_frame,
            channels=numbers.channels,
            ping_interval=numbers.ping.total_seconds(),
            sockets_per_user=numbers.sockets_per_user,
            user_commands_per_second=numbers.commands_per_user.calls / numbers.commands_per_user.period.total_seconds(),
            user_command_burst=numbers.commands_per_user.calls,
        )
        return Lobby(
            self.hub,
            self._signed_in,
            channels=[channel.bound(self.parts) for module in self.modules for channel in module.channels()],
            # The doors are built when they are first called: one of them asks for this lobby.
            call=lambda caller, method, data: self.rpc(caller, method, data),
            subscription_of=self._permit,
            rules=rules,
            clock=self.clock,
            version=f"tenfold {__version__}",
        )

    async def _permit(self, token: str) -> Permit:
        return self.parts.get(SubscriptionTokens).read(token)

    async def _signed_in(self, token: str) -> Authenticated:
        borne = self.tokens.read(token)
        return Authenticated(borne.actor, borne.expires_at)


class FeedTies(Ties):
    """Who follows and blocks whom, for chat, which stands beside the feed and may not ask it."""

    async def between(self, tx: Read, user_id: UUID, other_id: UUID) -> Tie:
        """As the feed has it at present."""
        found = await relationship(tx, user_id, other_id)
        return Tie(follows=found.following, is_blocked=found.blocking or found.blocked_by)

    async def blocked_among(self, tx: Read, user_id: UUID, other_ids: Collection[UUID]) -> set[UUID]:
        """As the feed has it at present."""
        return await blocked_among(tx, user_id, other_ids)


def public_url(settings: Settings) -> str:
    """Where people reach the installation: as the settings say, or where it listens."""
    return settings.http.public_url or f"http://{settings.http.host}:{settings.http.port}"


def _redis(settings: Settings) -> Redis | None:
    """The Redis that the settings name. Raises `CannotStart` when its address cannot be read."""
    named = settings.redis
    if named.url is None:
        return None
    try:
        address = Address.read(named.url.get_secret_value())
    except ValueError as error:
        raise CannotStart(f"redis.url cannot be read: {error}.") from None
    kind = RedisCluster if named.cluster else Redis
    return kind(address, prefix=named.prefix, patience=named.patience.total_seconds())


def _pools(settings: Settings) -> PoolSizes:
    database = settings.database
    return PoolSizes(
        read=database.read_connections,
        write=database.write_connections,
        wait=database.wait,
        read_timeout=database.read_timeout,
        write_timeout=database.write_timeout,
    )


def _keys(settings: Settings) -> list[str]:
    key = settings.tokens.key
    return [secret.get_secret_value() for secret in ((key,) if key else ()) + settings.tokens.old_keys]


def _identity_policy(settings: Settings) -> IdentityPolicy:
    tokens = settings.tokens
    named = settings.identity.model_dump(exclude={"verified_only", "reserved_handles"})
    rates = {name: Rate(*value) for name, value in named.items() if isinstance(value, tuple)}
    return IdentityPolicy(
        **{**named, **rates},
        public_url=public_url(settings),
        issuer=tokens.issuer,
        access_token_lasts=tokens.access_lifetime,
        refresh_grace=tokens.refresh_grace,
        remembered_tokens=tokens.remembered,
        reserved_handles=IdentityPolicy.reserved_handles | frozenset(settings.identity.reserved_handles),
    )


def _limit_policy(settings: Settings) -> LimitPolicy:
    named = settings.limits.model_dump(exclude={"enabled", "extras"})
    extras = {name: Rate(*rate) for name, rate in settings.limits.extras.items()}
    return LimitPolicy(**named, extras=extras)


def _mailer(settings: Settings, clock: Clock) -> Mailer:
    mail = settings.mail
    if mail.engine == "folder":
        return FolderMailer(settings.data / "mail", mail.sender, clock)
    server = SmtpServer(
        host=mail.smtp_host,
        port=mail.smtp_port,
        username=mail.smtp_user,
        password=mail.smtp_password.get_secret_value() if mail.smtp_password else None,
        security=mail.smtp_tls,
    )
    return SmtpMailer(server, mail.sender, clock)
