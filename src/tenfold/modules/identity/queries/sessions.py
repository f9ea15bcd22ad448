"""Statements about sessions and the refresh tokens of their families."""

from datetime import datetime
from uuid import UUID

import msgspec

from tenfold.kit.actors import Role
from tenfold.modules.identity.shapes import Session, State
from tenfold.platform.db import many, maybe, run


class SignInRow(msgspec.Struct, frozen=True):
    """What signing in compares a password with."""

    user_id: UUID
    password_hash: str
    changed_at: datetime
    has_factor: bool


class Family(msgspec.Struct, frozen=True):
    """A session with what the next access token says of its user."""

    last_seen_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    second_factor: bool
    role: Role
    tier: int
    verified: bool
    state: State
    claims_version: int


class TokenRow(msgspec.Struct, frozen=True):
    """One remembered token of a family."""

    generation: int
    token_hash: bytes
    used_at: datetime | None


class Outdated(msgspec.Struct, frozen=True):
    """Whose claims changed, and their present version."""

    user_id: UUID
    version: int


class PastSession(msgspec.Struct, frozen=True):
    """A session, over or not, as the archive lists it."""

    device: str
    user_agent: str
    address: str
    created_at: datetime
    last_seen_at: datetime
    revoked_at: datetime | None
    revoked_because: str | None


find_sign_in = maybe(
    SignInRow,
    """
    select e.user_id, c.password_hash, c.changed_at, t.confirmed_at is not null
      from emails e join credentials c on c.user_id = e.user_id left join totp_factors t on t.user_id = e.user_id
     where e.email_key = :email_key
    """,
)

insert_session = run(
    """
    with session as (
        insert into sessions (user_id, session_id, device, user_agent, address, second_factor,
                              created_at, last_seen_at, expires_at)
        values (:user_id::uuid, :session_id::uuid, :device, :user_agent, :address, :second_factor, :now::timestamptz,
                :now::timestamptz, :expires_at)
        returning user_id, session_id
    )
    insert into refresh_tokens (user_id, session_id, generation, token_hash, issued_at)
    select user_id, session_id, 1, :token_hash, :now::timestamptz from session
    """
)

end_beyond = many(
    UUID,
    """
    update sessions set revoked_at = :now, revoked_because = 'evicted'
     where user_id = :user_id and session_id in (
               select session_id from (
                   select session_id, row_number() over (order by session_id desc) as place
                     from sessions
                    where user_id = :user_id and revoked_at is null and expires_at > :now and last_seen_at > :idle_since
               ) as alive
                where place > :devices
           )
    returning session_id
    """,
)

end_sessions = many(
    UUID,
    """
    update sessions set revoked_at = :now, revoked_because = :because
     where user_id = :user_id and revoked_at is null
       and (:only::uuid is null or session_id = :only) and (:kept::uuid is null or session_id <> :kept)
    returning session_id
    """,
)

list_sessions = many(
    Session,
    """
    select session_id, device, user_agent, address, second_factor, created_at, last_seen_at, expires_at,
           session_id = :current::uuid
      from sessions
     where user_id = :user_id and revoked_at is null and expires_at > :now and last_seen_at > :idle_since
       and (:before::uuid is null or session_id < :before)
     order by session_id desc limit :limit
    """,
)

lock_family = maybe(
    Family,
    """
    select s.last_seen_at, s.expires_at, s.revoked_at, s.second_factor, u.role, u.tier, u.email_verified_at is not null,
           u.state, u.claims_version
      from sessions s join users u on u.user_id = s.user_id
     where s.user_id = :user_id and s.session_id = :session_id
       for no key update of s
    """,
)

list_tokens = many(
    TokenRow,
    """
    select generation, token_hash, used_at from refresh_tokens
     where user_id = :user_id and session_id = :session_id and generation in (:generation::int, :generation::int + 1)
     order by generation
    """,
)

rotate_token = run(
    """
    with session as (
        update sessions set last_seen_at = :now, address = :address, user_agent = :user_agent
         where user_id = :user_id::uuid and session_id = :session_id::uuid
    ), used as (
        update refresh_tokens set used_at = :now::timestamptz
         where user_id = :user_id::uuid and session_id = :session_id::uuid and generation = :generation::int
    ), forgotten as (
        delete from refresh_tokens
         where user_id = :user_id::uuid and session_id = :session_id::uuid and used_at < :forget_before
    )
    insert into refresh_tokens (user_id, session_id, generation, token_hash, issued_at)
    values (:user_id::uuid, :session_id::uuid, :generation::int + 1, :next_hash, :now::timestamptz)
    """
)

set_second_factor = run(
    "update sessions set second_factor = true where user_id = :user_id and session_id = :session_id"
)

clear_second_factor = run("update sessions set second_factor = false where user_id = :user_id and second_factor")

list_revoked_since = many(UUID, "select session_id from sessions where revoked_at > :since")

list_outdated_since = many(
    Outdated,
    "select user_id, claims_version from users where claims_changed_at > :since and claims_version > 1",
)

delete_ended_sessions = run(
    """
    delete from sessions
     where (user_id, session_id) in (
               select user_id, session_id from sessions
                where revoked_at < :before or expires_at < :before or last_seen_at < :idle_before
                limit :limit
           )
    """
)

list_all_sessions = many(
    PastSession,
    """
    select device, user_agent, address, created_at, last_seen_at, revoked_at, revoked_because
      from sessions where user_id = :user_id order by session_id desc
    """,
)
