"""The settings of the platform's parts: http, database, redis, cache, limits, jobs, realtime, mail, logs and traces."""

from datetime import timedelta
from typing import Literal

from pydantic import ByteSize, Field, SecretStr

from tenfold.settings.section import Section
from tenfold.settings.values import Networks, Numbers, Rate, RateText, Size, Span, Texts


class Http(Section):
    """Where requests come in."""

    host: str = Field(
        default="127.0.0.1", min_length=1, description="The address to listen on; `0.0.0.0` for every network."
    )
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/]+(/\S*)?$",
        description="Where people reach the installation, for links.",
    )
    trusted_proxies: Networks = Field(
        default=(), description="Networks of proxies whose `X-Forwarded-For` is believed; nobody else's is."
    )
    cors_origins: Texts = Field(default=(), description="Origins whose pages may call the API from a browser.")
    compression: bool = Field(
        default=True, description="Whether larger answers are compressed for clients that take it."
    )
    shutdown_grace: Span = Field(
        default=timedelta(seconds=20),
        description="How long requests in flight may take to finish when the server stops.",
    )


class Database(Section):
    """Which Postgres, and how it is used."""

    url: SecretStr | None = Field(
        default=None,
        description="The address of an own Postgres (`postgresql://…`); without one, an embedded one is started.",
    )
    read_connections: int = Field(default=8, ge=1, le=1000, description="Connections for reading, per process.")
    write_connections: int = Field(default=8, ge=1, le=1000, description="Connections for writing, per process.")
    wait: Span = Field(default=timedelta(seconds=5), description="How long a request waits for a connection.")
    read_timeout: Span = Field(default=timedelta(seconds=5), description="How long one statement may read.")
    write_timeout: Span = Field(default=timedelta(seconds=10), description="How long one statement may write.")


class Redis(Section):
    """Which Redis carries signals and live messages between processes."""

    url: SecretStr | None = Field(
        default=None,
        description="The address of a Redis ≥ 7.0 or Valkey (`redis://…`, `rediss://…`, `unix://…`); none: not used.",
    )
    cluster: bool = Field(default=False, description="Whether that is a node of a Redis Cluster.")
    prefix: str = Field(
        default="tenfold",
        pattern=r"^[a-z0-9_-]{1,32}$",
        description="What every key and channel begins with; installations that share a server differ in it.",
    )
    patience: Span = Field(
        default=timedelta(seconds=1.5),
        description="How long a connection may take; an answer may take three times that, then Redis counts as gone.",
    )


class Cache(Section):
    """The cache in each process."""

    max_bytes: Size = Field(default=ByteSize(64 * 1024**2), description="Bytes that a process keeps at most.")


class Limits(Section):
    """How much each kind of asker may do."""

    enabled: bool = Field(
        default=True, description="Whether calls are limited at all; only a benchmark turns this off."
    )
    window: Span = Field(default=timedelta(minutes=15), description="The span over which the budgets below come back.")
    anonymous: int = Field(default=300, ge=1, description="Weighted calls per window and address without a user.")
    anonymous_sign_in: int = Field(
        default=50, ge=1, description="Weighted calls per window and address at sign-in doors."
    )
    tiers: Numbers = Field(
        default=(300, 300, 300, 500, 500, 1000), description="Weighted calls per window and user, by tier from 0."
    )
    read: int = Field(default=1, ge=1, le=1000, description="What a call of the class `read` weighs.")
    write: int = Field(default=1, ge=1, le=1000, description="What a call of the class `write` weighs.")
    sign_in: int = Field(default=1, ge=1, le=1000, description="What a call of the class `sign_in` weighs.")
    costly: int = Field(default=5, ge=1, le=1000, description="What a call of the class `costly` weighs.")
    extras: dict[str, Rate] = Field(
        default={}, description="Rates (`50/1m`) of doors' extra limits, by their names, in place of the declared ones."
    )


class Jobs(Section):
    """Background work in each worker."""

    concurrency: int = Field(
        default=6, ge=1, le=1000, description="Jobs that a process runs at a time; fewer than its connections to write."
    )
    poll: Span = Field(
        default=timedelta(milliseconds=250), description="How often the queue is read when nothing wakes the worker."
    )


class Realtime(Section):
    """Sockets and channels."""

    history_size: int = Field(default=100, ge=0, le=100_000, description="Publications that a channel remembers.")
    history_ttl: Span = Field(default=timedelta(minutes=5), description="How long a channel remembers them.")
    check_every: Span = Field(
        default=timedelta(seconds=30),
        description="How often every channel is checked for messages lost on the way; a process checks 100 a second.",
    )
    check_durable_every: Span = Field(
        default=timedelta(seconds=5),
        description="The same for channels that the database numbers: one short statement per 500 of them.",
    )
    epoch: str = Field(
        default="1",
        min_length=1,
        max_length=100,
        description="The name of the database's data to clients; after a restore from a backup, give it another.",
    )
    channels: int = Field(default=128, ge=1, le=10_000, description="Channels that one connection may listen to.")
    ping: Span = Field(default=timedelta(seconds=25), description="How often the server pings an idle client.")
    pong: Span = Field(default=timedelta(seconds=8), description="How long a client may take to answer that.")
    queue: Size = Field(
        default=ByteSize(1024**2), description="Bytes that may wait for a slow client; then it is cut off."
    )
    max_frame: Size = Field(default=ByteSize(64 * 1024), description="Bytes that one message of a client may have.")
    sockets_per_user: int = Field(
        default=30, ge=0, description="Connections that a user may hold in one process; 0: no limit."
    )
    sockets_per_address: int = Field(
        default=2000, ge=0, description="Connections that an address may hold in one process; 0: no limit."
    )
    handshakes_per_address: Rate = Field(
        default=RateText(2000, timedelta(minutes=1)),
        description="How often an address may connect to one process.",
    )
    commands_per_user: Rate = Field(
        default=RateText(1200, timedelta(minutes=1)),
        description="Commands that a user may send to one process, over all connections.",
    )


class Gateway(Section):
    """`tenfold gateway`: sockets in processes of their own."""

    host: str = Field(
        default="127.0.0.1", min_length=1, description="The address to listen on; `0.0.0.0` for every network."
    )
    port: int = Field(default=8001, ge=0, le=65535, description="The port that all its processes share; 0: a free one.")
    processes: int = Field(default=0, ge=0, le=1000, description="How many processes; 0: one per core.")
    connections: int = Field(
        default=0, ge=0, description="Connections that a process may hold; 0: as many as it may open files for."
    )
    read_buffer: Size = Field(
        default=ByteSize(2048), description="Bytes that each connection holds for reading; it grows when needed."
    )
    handshake_timeout: Span = Field(
        default=timedelta(seconds=10), description="How long a client may take to ask for a WebSocket."
    )
    read_connections: int = Field(
        default=2, ge=1, le=1000, description="Database connections for reading, per process, opened when needed."
    )
    write_connections: int = Field(
        default=2, ge=1, le=1000, description="Database connections for writing, per process, opened when needed."
    )
    drain: Span = Field(
        default=timedelta(seconds=10), description="The span over which clients are told to reconnect at a stop."
    )


class Mail(Section):
    """How mail leaves."""

    engine: Literal["folder", "smtp"] = Field(
        default="folder", description="Files in the data folder, or an SMTP server."
    )
    sender: str = Field(default="Tenfold <no-reply@localhost>", min_length=3, description="The sender of every mail.")
    smtp_host: str = Field(default="127.0.0.1", min_length=1, description="The SMTP server.")
    smtp_port: int = Field(default=587, ge=1, le=65535, description="Its port.")
    smtp_user: str | None = Field(default=None, description="The user to sign in as; without one, nobody signs in.")
    smtp_password: SecretStr | None = Field(default=None, description="The password of that user.")
    smtp_tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection is encrypted."
    )


class Log(Section):
    """What is written down."""

    format: Literal["auto", "json", "console"] = Field(
        default="auto", description="JSON, or for eyes; auto: by the terminal."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is written."
    )
    requests: Literal["all", "errors"] = Field(
        default="errors", description="Which requests get a line: all, or failed ones."
    )


class Traces(Section):
    """Where traces go."""

    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="An OTLP/HTTP address (`http://host:4318/v1/traces`); none: off.",
    )
    ratio: float = Field(default=1.0, ge=0.0, le=1.0, description="The share of requests that are traced.")
