"""Sample accounts, written in bulk: what signing up leaves behind, without its mails and without its hashing."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from tenfold.modules.identity.rules.emails import email_key, read_email
from tenfold.modules.identity.rules.handles import read_handle, skeleton
from tenfold.platform.db import Write


class Newcomer(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who joined in the past, with a verified address and a password that was hashed before."""

    id: UUID
    email: str
    handle: str
    name: str
    bio: str
    password_hash: str
    joined_at: datetime


async def copy_accounts(tx: Write, newcomers: Sequence[Newcomer]) -> None:
    """Write accounts as sign-up and verification leave them, all or none: an address or handle may be taken."""
    people = [(person, read_email("email", person.email), read_handle("handle", person.handle)) for person in newcomers]
    await _copy(
        tx,
        "users",
        "user_id email email_verified_at handle name bio claims_changed_at created_at",
        [
            (p.id, email, p.joined_at, handle, p.name, p.bio, p.joined_at, p.joined_at)
            for p, email, handle in people
        ],
    )  # fmt: skip
    await _copy(
        tx,
        "emails",
        "email_key user_id claimed_at",
        sorted((email_key(email), p.id, p.joined_at) for p, email, _ in people),
    )
    await _copy(
        tx, "handles", "skeleton handle user_id", sorted((skeleton(handle), handle, p.id) for p, _, handle in people)
    )
    await _copy(
        tx,
        "credentials",
        "user_id password_hash changed_at",
        [(p.id, p.password_hash, p.joined_at) for p, *_ in people],
    )


async def _copy(tx: Write, table: str, columns: str, rows: Sequence[tuple[object, ...]]) -> None:
    await tx.connection.copy_records_to_table(table, records=rows, columns=columns.split())
