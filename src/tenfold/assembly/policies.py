"""Policies: the settings as the values that parts and modules take. Plain functions; nothing is built here."""

from tenfold.modules.identity import IdentityPolicy
from tenfold.platform.db import PoolSizes
from tenfold.platform.http.gate import HttpPolicy
from tenfold.platform.limits import Rate
from tenfold.platform.limits.policy import LimitPolicy
from tenfold.platform.realtime.admission import AdmissionRules
from tenfold.platform.realtime.gateway import GatewayRules
from tenfold.platform.realtime.lobby import SessionRules
from tenfold.settings import Settings


def public_url(settings: Settings) -> str:
    """Where people reach the installation: as the settings say, or where it listens."""
    return settings.http.public_url or f"http://{settings.http.host}:{settings.http.port}"


def pool_sizes(settings: Settings) -> PoolSizes:
    """How many connections to the database, and how long anything may take there."""
    database = settings.database
    return PoolSizes(
        read=database.read_connections,
        write=database.write_connections,
        wait=database.wait,
        read_timeout=database.read_timeout,
        write_timeout=database.write_timeout,
    )


def keys_of_tokens(settings: Settings) -> list[str]:
    """The secrets of tokens, the current one first."""
    key = settings.tokens.key
    return [secret.get_secret_value() for secret in ((key,) if key else ()) + settings.tokens.old_keys]


def identity_policy(settings: Settings) -> IdentityPolicy:
    """The rules of identity."""
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


def limit_policy(settings: Settings) -> LimitPolicy:
    """What may be asked how often."""
    named = settings.limits.model_dump(exclude={"enabled", "extras"})
    extras = {name: Rate(*rate) for name, rate in settings.limits.extras.items()}
    return LimitPolicy(**named, extras=extras)


def http_policy(settings: Settings) -> HttpPolicy:
    """What holds for every request."""
    return HttpPolicy(
        trusted_proxies=settings.http.trusted_proxies,
        cors_origins=settings.http.cors_origins,
        verified_only=frozenset(settings.identity.verified_only),
        compression=settings.http.compression,
        log_requests=settings.log.requests == "all",
    )


def session_rules(settings: Settings) -> SessionRules:
    """The limits of a realtime session."""
    numbers = settings.realtime
    return SessionRules(
        frame_size=numbers.max_frame,
        channels=numbers.channels,
        ping_interval=numbers.ping.total_seconds(),
        pong_timeout=numbers.pong.total_seconds(),
        sockets_per_user=numbers.sockets_per_user,
        user_commands_per_second=numbers.commands_per_user.calls / numbers.commands_per_user.period.total_seconds(),
        user_command_burst=numbers.commands_per_user.calls,
    )


def largest_message(settings: Settings) -> int:
    """Bytes of a client's message beyond which it is not even read; below that it is told that it is too large."""
    return 4 * settings.realtime.max_frame


def admission_rules(settings: Settings) -> AdmissionRules:
    """Whose handshakes are answered."""
    realtime = settings.realtime
    return AdmissionRules(
        allowed_origins=frozenset(settings.http.cors_origins),
        trusted_proxies=settings.http.trusted_proxies,
        sockets_per_address=realtime.sockets_per_address,
        handshakes_per_address=realtime.handshakes_per_address.calls,
        handshake_window=realtime.handshakes_per_address.period.total_seconds(),
    )


def gateway_rules(settings: Settings, capacity: int) -> GatewayRules:
    """The limits of a gateway process that holds so many connections."""
    numbers, realtime = settings.gateway, settings.realtime
    return GatewayRules(
        capacity=capacity,
        queue_size=realtime.queue,
        read_buffer=numbers.read_buffer,
        largest_message=largest_message(settings),
        handshake_timeout=numbers.handshake_timeout.total_seconds(),
    )
