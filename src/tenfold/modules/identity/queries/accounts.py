"""Statements about accounts: opening, finding, changing, erasing."""

from datetime import datetime
from uuid import UUID

import msgspec

from tenfold.kit.actors import Role
from tenfold.modules.identity.shapes import AdminUser, Me, Profile, State, UserCard
from tenfold.platform.db import many, maybe, one, run


class Account(msgspec.Struct, frozen=True):
    """An account as deeds see it: an erased one is none."""

    user_id: UUID
    email: str
    email_verified: bool
    handle: str
    name: str
    role: Role
    tier: int
    state: State
    banned_until: datetime | None
    claims_version: int


class Released(msgspec.Struct, frozen=True):
    """Whom a ban has let go: the version of the claims, and the state from before the ban."""

    claims_version: int
    state: State


class Holder(msgspec.Struct, frozen=True):
    """Who has a handle: the user, and how the handle is written."""

    user_id: UUID
    handle: str


claim_email = one(
    UUID,
    """
    insert into emails (email_key, user_id, claimed_at) values (:email_key, :user_id, :now)
        on conflict (email_key) do update set email_key = excluded.email_key
    returning user_id
    """,
)

find_email_owner = maybe(UUID, "select user_id from emails where email_key = :email_key")

release_email = run("delete from emails where email_key = :email_key and user_id = :user_id")

claim_handle = maybe(
    UUID,
    """
    insert into handles (skeleton, handle, user_id, held_until) values (:skeleton, :handle, :user_id, :held_until)
        on conflict (skeleton) do update
           set handle = excluded.handle, user_id = excluded.user_id, held_until = excluded.held_until
         where handles.user_id = excluded.user_id or handles.held_until <= :now
    returning user_id
    """,
)

is_buried = one(bool, "select exists (select from handles where skeleton = :tombstone)")

hold_handle = run("update handles set held_until = :held_until where skeleton = :skeleton and user_id = :user_id")

count_held_handles = one(int, "select count(*) from handles where user_id = :user_id and held_until > :now")

list_handles_of = many(str, "select skeleton from handles where user_id = :user_id")

bury_handles = run(
    """
    with gone as (delete from handles where user_id = :user_id)
    insert into handles (skeleton, handle, user_id, held_until)
    select tombstone, '', :user_id, null from unnest(:tombstones::text[]) as tombstone
        on conflict (skeleton) do nothing
    """
)

delete_released_handles = run("delete from handles where held_until <= :now")

find_handle = maybe(
    Holder,
    "select user_id, handle from handles where skeleton = :skeleton and handle = :handle and held_until is null",
)

insert_account = run(
    """
    with account as (
        insert into users (user_id, email, handle, name, claims_changed_at, created_at)
        select :user_id::uuid, :email::text, :handle::text, :name::text, :now::timestamptz, :now::timestamptz
         where :owner_id::uuid = :user_id::uuid
        returning user_id
    )
    insert into credentials (user_id, password_hash, changed_at)
    select user_id, :password_hash, :now::timestamptz from account
    """
)

find_account = maybe(
    Account,
    """
    select user_id, email, email_verified_at is not null, handle, name, role, tier, state, banned_until, claims_version
      from users where user_id = :user_id and state <> 'erased'
    """,
)

# One that is erased while this waits for its row is not found either.
lock_account = maybe(
    Account,
    """
    select user_id, email, email_verified_at is not null, handle, name, role, tier, state, banned_until, claims_version
      from users where user_id = :user_id and state <> 'erased' for no key update
    """,
)

find_me = maybe(
    Me,
    """
    select u.user_id, u.email, u.email_verified_at is not null, u.handle, u.name, u.bio, u.avatar,
           u.role, u.tier, u.state, t.confirmed_at is not null, u.created_at
      from users u left join totp_factors t on t.user_id = u.user_id
     where u.user_id = :user_id and u.state <> 'erased'
    """,
)

find_profile = maybe(
    Profile,
    """
    select user_id, handle, name, bio, avatar, created_at
      from users where user_id = :user_id and state = 'active' and (:unproved_too or email_verified_at is not null)
    """,
)

list_cards = many(
    UserCard,
    "select user_id, handle, name, avatar from users where user_id = any(:user_ids::uuid[]) and state = 'active'",
)

update_profile = run(
    """
    update users set handle = coalesce(:handle, handle), name = coalesce(:name, name), bio = coalesce(:bio, bio),
           avatar = case when :sets_avatar then :avatar else avatar end
     where user_id = :user_id
    """
)

verify_email = maybe(
    int,
    """
    update users set email_verified_at = :now, claims_version = claims_version + 1, claims_changed_at = :now
     where user_id = :user_id and email = :email and email_verified_at is null
    returning claims_version
    """,
)

set_email = one(
    int,
    """
    update users set email = :email, email_verified_at = :now,
           claims_version = claims_version + 1, claims_changed_at = :now
     where user_id = :user_id
    returning claims_version
    """,
)

# Whoever chooses the state ends what a ban has left.
set_state = one(
    int,
    """
    update users set state = :state, state_before_ban = null, ban_reason = null, banned_until = null,
           claims_version = claims_version + 1, claims_changed_at = :now
     where user_id = :user_id
    returning claims_version
    """,
)

# A second ban changes the first; what was before both of them stays.
ban_account = one(
    int,
    """
    update users set state = 'banned', ban_reason = :reason, banned_until = :until,
           state_before_ban = case when state = 'banned' then state_before_ban else state end,
           claims_version = claims_version + 1, claims_changed_at = :now
     where user_id = :user_id
    returning claims_version
    """,
)

end_ban = maybe(
    Released,
    """
    update users set state = state_before_ban, state_before_ban = null, ban_reason = null, banned_until = null,
           claims_version = claims_version + 1, claims_changed_at = :now
     where user_id = :user_id and state = 'banned'
    returning claims_version, state
    """,
)

set_tier = one(
    int,
    """
    update users set tier = :tier, claims_version = claims_version + 1, claims_changed_at = :now
     where user_id = :user_id
    returning claims_version
    """,
)

set_role = one(
    int,
    """
    update users set role = :role, claims_version = claims_version + 1, claims_changed_at = :now
     where user_id = :user_id
    returning claims_version
    """,
)

outdate_claims = one(
    int,
    """
    update users set claims_version = claims_version + 1, claims_changed_at = :now
     where user_id = :user_id
    returning claims_version
    """,
)

erase_account = one(
    int,
    """
    with c as (delete from credentials where user_id = :user_id),
         s as (delete from sessions where user_id = :user_id),
         m as (delete from codes where user_id = :user_id),
         t as (delete from totp_factors where user_id = :user_id),
         r as (delete from recovery_codes where user_id = :user_id)
    update users
       set email = '', email_verified_at = null, handle = '', name = '', bio = '', avatar = null,
           role = 'user', tier = 0, state = 'erased', state_before_ban = null, ban_reason = null, banned_until = null,
           claims_version = claims_version + 1, claims_changed_at = :now
     where user_id = :user_id
    returning claims_version
    """,
)

list_ended_bans = many(
    UUID, "select user_id from users where banned_until <= :now and state = 'banned' order by banned_until limit 500"
)

find_admin_user = maybe(
    AdminUser,
    """
    select u.user_id, u.email, u.email_verified_at is not null, u.handle, u.name, u.role, u.tier, u.state, u.ban_reason,
           u.banned_until, t.confirmed_at is not null, u.created_at
      from users u left join totp_factors t on t.user_id = u.user_id
     where u.user_id = :user_id
    """,
)

list_admin_users = many(
    AdminUser,
    """
    select u.user_id, u.email, u.email_verified_at is not null, u.handle, u.name, u.role, u.tier, u.state, u.ban_reason,
           u.banned_until, t.confirmed_at is not null, u.created_at
      from users u left join totp_factors t on t.user_id = u.user_id
     where (:before::uuid is null or u.user_id < :before)
     order by u.user_id desc limit :limit
    """,
)
