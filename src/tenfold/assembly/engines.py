"""Engines: which ones the settings name."""

from tenfold.kit.clock import Clock
from tenfold.kit.refusals import CannotStart
from tenfold.platform.bus import Bus
from tenfold.platform.mail import Mailer
from tenfold.platform.mail.folder import FolderMailer
from tenfold.platform.mail.smtp import SmtpMailer, SmtpServer
from tenfold.platform.realtime.broker import Broker
from tenfold.platform.realtime.company import Company
from tenfold.platform.realtime.presence import Presence
from tenfold.platform.realtime.redis import RedisBroker
from tenfold.platform.realtime.redis_presence import RedisPresence
from tenfold.platform.realtime.relay import RelayedBroker
from tenfold.platform.realtime.relay_presence import RelayedPresence
from tenfold.platform.redis import Address, Redis, RedisCluster
from tenfold.settings import Settings


def redis_of(settings: Settings) -> Redis | None:
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


def realtime_engines(settings: Settings, redis: Redis | None, bus: Bus, *, alone: bool) -> tuple[Broker, Presence]:
    """What carries live messages between processes and knows who is there: Redis, or the bus."""
    numbers = settings.realtime
    if redis is None:
        company = Company(is_certain=not alone)
        broker = RelayedBroker(bus, company, history_size=numbers.history_size, history_ttl=numbers.history_ttl)
        return broker, RelayedPresence(bus, company)
    broker = RedisBroker(redis, history_size=numbers.history_size, history_ttl=numbers.history_ttl)
    return broker, RedisPresence(redis)


def mailer_of(settings: Settings, clock: Clock) -> Mailer:
    """Where mail goes: into a folder, or to a server."""
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
