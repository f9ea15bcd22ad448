"""What is sensible in chat: texts, and who may do what in a conversation. Pure functions."""

import hashlib
import unicodedata
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from tenfold.kit.refusals import Invalid
from tenfold.modules.chat.errors import (
    ConversationIsFull,
    ConversationNotFound,
    NeedsAnAdmin,
    NeedsAnOwner,
    NotWithOneself,
    OnlyAdminsWriteHere,
    RequestIsWaiting,
    ThisIsDirect,
    TooSoon,
)
from tenfold.modules.chat.rows import NotSent, Standing
from tenfold.modules.chat.shapes import ChatPolicy, ConversationKind, ConversationRow, MemberRole, MemberRow

_DIRECT = UUID("6f2c1d5e-0b7a-5e53-9d1c-2f60a4c1b7aa").bytes
_UNSEEN = {"Cf", "Zl", "Zp", "Zs", "Cc"}
_RANK = {"member": 0, "admin": 1, "owner": 2}


def tidy(text: str, field: str) -> str:
    """A text as it is kept: composed (NFC), lines ended by a line feed, no blank ends; empty if nothing can be seen.

    Raises `Invalid`.
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    tidied = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()
    for character in tidied:
        if (character < " " and character not in "\n\t") or "\x7f" <= character <= "\x9f":
            raise Invalid(field, f"holds the control character U+{ord(character):04X}")
        if "\ud800" <= character <= "\udfff":
            raise Invalid(field, "holds half of a surrogate pair")
    return "" if all(unicodedata.category(character) in _UNSEEN for character in tidied) else tidied


def tidy_title(title: str) -> str:
    """A title that can be seen, in one line. Raises `Invalid`."""
    tidied = tidy(title, "body.title")
    if not tidied:
        raise Invalid("body.title", "holds nothing that can be seen")
    if "\n" in tidied:
        raise Invalid("body.title", "has more than one line")
    return tidied


def direct_id(one_id: UUID, other_id: UUID) -> UUID:
    """The id of the conversation of two people, whoever opens it (a UUIDv5 in form, by BLAKE2b)."""
    low, high = sorted((one_id.bytes, other_id.bytes))
    return UUID(bytes=hashlib.blake2b(_DIRECT + low + high, digest_size=16).digest(), version=5)


def must_be_another(user_id: UUID, other_id: UUID) -> None:
    """Raise `NotWithOneself` when the two are one."""
    if user_id == other_id:
        raise NotWithOneself


def peer_of(conversation: ConversationRow, user_id: UUID) -> UUID | None:
    """The other person of a direct conversation."""
    if conversation.kind != "direct":
        return None
    return conversation.other_id if conversation.one_id == user_id else conversation.one_id


def is_whole(seqs: Sequence[int], before: int | None, limit: int) -> bool:
    """Whether these numbers, falling from `before` (None: from the last one), are all that a page can have."""
    if not seqs:
        return before is not None and before <= 1
    top = seqs[0] + 1 if before is None else before
    return top - seqs[-1] == len(seqs) and (len(seqs) == limit or seqs[-1] == 1)


def must_be_in(standing: Standing | None) -> MemberRole:
    """The role of a member. Raises `ConversationNotFound` for everybody else."""
    if standing is None or standing.state != "joined" or standing.role is None:
        raise ConversationNotFound
    return standing.role


def must_not_be_direct(conversation: ConversationRow) -> None:
    """Groups and channels have members and settings; two people have each other."""
    if conversation.kind == "direct":
        raise ThisIsDirect


def must_be_able_to_write(conversation: ConversationRow, role: MemberRole) -> None:
    """Raise `OnlyAdminsWriteHere` for a mere member where only admins write."""
    if conversation.posting == "admins" and role == "member":
        raise OnlyAdminsWriteHere


def must_be_admin(role: MemberRole) -> None:
    """Raise `NeedsAnAdmin` for a mere member."""
    if role == "member":
        raise NeedsAnAdmin


def must_be_owner(role: MemberRole) -> None:
    """Raise `NeedsAnOwner` for everybody else."""
    if role != "owner":
        raise NeedsAnOwner


def must_have_seats(kind: ConversationKind, joined: int, invited: int, policy: ChatPolicy) -> None:
    """Raise `ConversationIsFull` for too many invitations; in a group there is a seat for each of them."""
    if invited > policy.invitations_cap:
        raise ConversationIsFull(limit=policy.invitations_cap)
    if kind == "group" and joined + invited > policy.group_cap:
        raise ConversationIsFull(limit=policy.group_cap)


def is_unnoticed(here: ConversationRow, person: MemberRow | None) -> bool:
    """Whether somebody comes to a channel and goes as a mere member does: no change has ever spoken of them."""
    return here.kind == "channel" and (person is None or (person.role == "member" and not person.change_no))


def must_outrank(role: MemberRole, other: MemberRole) -> None:
    """Admins change members, owners change everybody."""
    must_be_admin(role)
    if role != "owner" and _RANK[other] >= _RANK[role]:
        raise NeedsAnOwner


def refuse_to_send(why: NotSent) -> None:
    """Raise what keeps somebody in a conversation from sending; nothing when they may by now."""
    if why.is_outside:
        raise ConversationNotFound
    if why.is_waiting:
        raise RequestIsWaiting
    if why.is_silent:
        raise OnlyAdminsWriteHere
    if why.wait > 0:
        raise TooSoon(retry_after=why.wait)


def columns_of(row: msgspec.Struct) -> dict[str, Any]:
    """A row as parameters of the statement that saves it."""
    return {name: getattr(row, name) for name in row.__struct_fields__}
