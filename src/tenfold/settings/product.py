"""The settings of the product's modules: accounts and sessions, passwords, posts and timelines."""

import os
from datetime import timedelta

from pydantic import Field, SecretStr

from tenfold.settings.section import Section
from tenfold.settings.values import Rate, RateText, Secrets, Span, Texts

SHORTEST_KEY = 32


class Tokens(Section):
    """The secret that signs access tokens, proves refresh tokens and seals second factors, and how long they last."""

    key: SecretStr | None = Field(
        default=None,
        min_length=SHORTEST_KEY,
        description="The installation's secret key: 32 random characters or more.",
    )
    old_keys: Secrets = Field(default=(), description="Keys that were replaced; what they made is still accepted.")
    issuer: str = Field(default="tenfold", min_length=1, description="The `iss` of access tokens; others' are refused.")
    access_lifetime: Span = Field(default=timedelta(minutes=10), description="How long an access token is valid.")
    refresh_grace: Span = Field(
        default=timedelta(seconds=30), description="How long a replaced refresh token still answers with its successor."
    )
    remembered: int = Field(
        default=20_000, ge=1, description="Access tokens that a process keeps verified, about 1 KB each."
    )


class Passwords(Section):
    """What a password hash (Argon2id) costs, and how many are made at a time."""

    time_cost: int = Field(default=2, ge=1, le=100, description="Passes over the memory.")
    memory_kib: int = Field(default=19 * 1024, ge=8, le=4 * 1024**2, description="Memory of one hash, in KiB.")
    lanes: int = Field(default=1, ge=1, le=64, description="Lanes of one hash.")
    workers: int = Field(
        default_factory=lambda: max(1, (os.cpu_count() or 2) // 2),
        ge=1,
        le=256,
        description="Threads that hash.",
        json_schema_extra={"default": "half of the processors"},
    )
    queue: int = Field(
        default=64, ge=0, description="Callers that may wait for a thread; the next one is told to come back."
    )


class Identity(Section):
    """Accounts and sessions."""

    app_name: str = Field(
        default="Tenfold", min_length=1, max_length=60, description="What mails call the installation."
    )
    devices: int = Field(
        default=5, ge=1, le=1000, description="Sessions per user; signing in on one more ends the oldest."
    )
    session_idle: Span = Field(
        default=timedelta(days=30), description="A session that was not refreshed so long is over."
    )
    session_lasts: Span = Field(default=timedelta(days=180), description="A session is over so long after signing in.")
    ended_sessions_kept: Span = Field(
        default=timedelta(days=30), description="How long sessions that are over are kept."
    )
    unverified_may_sign_in: bool = Field(
        default=True, description="Whether an account works before its e-mail is verified."
    )
    verified_only: Texts = Field(
        default=(), description="Doors (`POST /posts`) that only accounts with a verified e-mail may use."
    )
    admins_need_second_factor: bool = Field(
        default=True, description="Whether an administrator is an ordinary user until a second factor was given."
    )
    reserved_handles: Texts = Field(
        default=(), description="Handles that nobody can have, beside those that are built in."
    )
    sign_in_tries: Rate = Field(
        default=RateText(10, timedelta(minutes=15)), description="Passwords tried for one account from one address."
    )
    second_factor_tries: Rate = Field(
        default=RateText(10, timedelta(minutes=15)), description="Second factors tried for one account."
    )
    refreshes: Rate = Field(default=RateText(300, timedelta(minutes=15)), description="Refreshes of one session.")
    mails_per_mailbox: Rate = Field(
        default=RateText(6, timedelta(hours=1)), description="Mails that strangers can have sent to one mailbox."
    )
    verification_lasts: Span = Field(
        default=timedelta(days=3), description="How long a verification mail's code is valid."
    )
    reset_lasts: Span = Field(default=timedelta(hours=1), description="How long a password reset's code is valid.")
    email_change_lasts: Span = Field(
        default=timedelta(days=1), description="How long an e-mail change's codes are valid."
    )
    handle_held: Span = Field(
        default=timedelta(days=30), description="How long a handle that was given up stays reserved."
    )
    handles_held: int = Field(
        default=3, ge=0, le=100, description="Handles that may be reserved for one user in this way."
    )


class Feed(Section):
    """Posts and timelines."""

    home_cap: int = Field(
        default=400, ge=20, le=100_000, description="Entries that a rebuilt home timeline holds at most."
    )
    home_depth: int = Field(
        default=100, ge=1, le=10_000, description="Posts of one author that a rebuild takes at most."
    )
    pull_threshold: int = Field(
        default=10_000,
        ge=0,
        description="Followers from which an author's posts are pulled by readers, no longer pushed.",
    )
    fan_out_batch: int = Field(default=1_000, ge=1, le=100_000, description="Followers that one fan-out job serves.")
    absence: Span = Field(default=timedelta(days=14), description="After so long without reading, a home is emptied.")
    touch_every: Span = Field(
        default=timedelta(hours=1), description="How often reading writes down that the reader is here."
    )
    following_cap: int = Field(default=5_000, ge=1, description="People that one may follow at most.")
    public_cap: int = Field(default=10_000, ge=20, description="Posts that the public timeline reaches back.")
    grave: Span = Field(default=timedelta(days=30), description="How long the emptied row of a deleted post is kept.")


class Chat(Section):
    """Conversations and their messages."""

    group_cap: int = Field(default=1_000, ge=2, le=10_000, description="People in a group at most.")
    conversations_cap: int = Field(default=5_000, ge=1, description="Conversations that one may be in at most.")
    invitations_cap: int = Field(
        default=1_000,
        ge=1,
        le=10_000,
        description="Invitations and requests that wait for an answer at most, of one conversation and for one person.",
    )
    hint_every: Span = Field(
        default=timedelta(seconds=1), description="How often, at most, a group's other members are told of messages."
    )
    reaction_kinds: int = Field(default=20, ge=1, le=200, description="Different reactions that one message may have.")
    pins: int = Field(default=50, ge=1, le=1_000, description="Pinned messages in one conversation.")
    request_messages: int = Field(
        default=3, ge=1, le=100, description="Messages that a stranger may write before being accepted."
    )
    search_reach: int = Field(
        default=200, ge=1, le=5_000, description="Conversations, the latest, that a search looks into."
    )
    acquainted_in: int = Field(
        default=100, ge=0, le=10_000, description="Members of a group up to which they see each other's presence."
    )
    idle_after: Span = Field(
        default=timedelta(minutes=5), description="How long after the last sign of life somebody connected is idle."
    )
    archive_after: Span = Field(
        default=timedelta(days=30), description="The age at which messages move to the archive."
    )
    batch: int = Field(default=1_000, ge=1, le=100_000, description="Rows that a job moves or deletes at once.")
