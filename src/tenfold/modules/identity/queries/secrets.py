"""Statements about what proves who somebody is: passwords, mailed codes, second factors."""

from datetime import datetime
from uuid import UUID

import msgspec

from tenfold.modules.identity.shapes import Purpose
from tenfold.platform.db import Batch, batch, many, maybe, run


class MailedCodeRow(msgspec.Struct, frozen=True):
    """A code that was mailed."""

    code_id: UUID
    purpose: Purpose
    email: str
    expires_at: datetime
    used_at: datetime | None


class Password(msgspec.Struct, frozen=True):
    """A password's hash, and since when the password is this one (a new hash of the same password changes nothing)."""

    password_hash: str
    changed_at: datetime


class Factor(msgspec.Struct, frozen=True):
    """The second factor of a user."""

    sealed_secret: str
    confirmed_at: datetime | None
    last_step: int


class RecoveryHash(msgspec.Struct, frozen=True):
    """One recovery code, as it is stored."""

    code_hash: bytes


find_password = maybe(Password, "select password_hash, changed_at from credentials where user_id = :user_id")

set_password = run("update credentials set password_hash = :password_hash, changed_at = :now where user_id = :user_id")

# Only if nobody changed the password while the new hash was being made.
rehash_password = run(
    "update credentials set password_hash = :new_hash where user_id = :user_id and password_hash = :old_hash"
)

insert_code = run(
    """
    insert into codes (user_id, code_id, purpose, email, created_at, expires_at)
    values (:user_id, :code_id, :purpose, :email, :now, :expires_at)
        on conflict (user_id, code_id) do nothing
    """
)

find_code = maybe(
    MailedCodeRow,
    "select code_id, purpose, email, expires_at, used_at from codes where user_id = :user_id and code_id = :code_id",
)

use_code = run("update codes set used_at = :now where user_id = :user_id and code_id = :code_id and used_at is null")

delete_codes = run("delete from codes where user_id = :user_id and purpose = any(:purposes::text[])")

find_codes_for = many(
    MailedCodeRow,
    """
    select code_id, purpose, email, expires_at, used_at from codes
     where user_id = :user_id and purpose = any(:purposes::text[])
    """,
)

delete_old_codes = run("delete from codes where expires_at < :before")

find_factor = maybe(Factor, "select sealed_secret, confirmed_at, last_step from totp_factors where user_id = :user_id")

lock_factor = maybe(
    Factor, "select sealed_secret, confirmed_at, last_step from totp_factors where user_id = :user_id for update"
)

put_factor = run(
    """
    insert into totp_factors (user_id, sealed_secret, created_at) values (:user_id, :sealed_secret, :now)
        on conflict (user_id) do update
           set sealed_secret = excluded.sealed_secret, created_at = excluded.created_at, last_step = 0
         where totp_factors.confirmed_at is null
    """
)

confirm_factor = run("update totp_factors set confirmed_at = :now, last_step = :step where user_id = :user_id")

use_step = run("update totp_factors set last_step = :step where user_id = :user_id and last_step < :step")

delete_factor = run(
    """
    with codes as (delete from recovery_codes where user_id = :user_id)
    delete from totp_factors where user_id = :user_id
    """
)

delete_recovery_codes = run("delete from recovery_codes where user_id = :user_id")

insert_recovery_codes: Batch[int] = batch(
    "insert into recovery_codes (user_id, code_hash) select :user_id::uuid, unnest(:code_hash::bytea[])"
)

use_recovery_code = run(
    """
    update recovery_codes set used_at = :now
     where user_id = :user_id and code_hash = any(:hashes::bytea[]) and used_at is null
    """
)
