"""What is sensible in the feed: texts, languages, and who may do what to whom. Pure functions."""

import re
import unicodedata
from datetime import datetime
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.clock import lies_ahead
from tenfold.kit.refusals import Invalid
from tenfold.modules.feed.errors import (
    NotOneself,
    PostIsForFollowers,
    PostNotFound,
    ThisIsARepost,
    UserIsBlocked,
)
from tenfold.modules.feed.shapes import Deed, PostRow, Relationship
from tenfold.modules.identity import UserNotFound

BODY_LIMIT = 5_000
# Language, then script, region, variants: the shape of BCP 47, not its registry.
_LANG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_INVISIBLE = ("Z", "C")


def tidy_body(body: str) -> str:
    """A body as it is kept: composed (NFC), lines ended by a line feed, no blank ends. Raises `Invalid`."""
    tidy = unicodedata.normalize("NFC", body.replace("\r\n", "\n")).strip()
    for character in tidy:
        if character < " " and character not in "\n\t":
            raise Invalid("body.body", f"holds the control character U+{ord(character):04X}")
        if "\x7f" <= character <= "\x9f":
            raise Invalid("body.body", f"holds the control character U+{ord(character):04X}")
        if "\ud800" <= character <= "\udfff":
            raise Invalid("body.body", "holds half of a surrogate pair")
    if all(unicodedata.category(character).startswith(_INVISIBLE) for character in tidy):
        raise Invalid("body.body", "holds nothing that can be seen")
    if len(tidy) > BODY_LIMIT:
        raise Invalid("body.body", f"has {len(tidy)} characters; at most {BODY_LIMIT} fit")
    return tidy


def tidy_lang(lang: str | None) -> str | None:
    """A language tag in its usual case (`de-AT`, `zh-Hant-TW`). Raises `Invalid` for what cannot be one."""
    if lang is None:
        return None
    if not _LANG.fullmatch(lang):
        raise Invalid("body.lang", "is not a language tag such as `en` or `pt-BR`")
    first, *rest = lang.split("-")
    return "-".join([first.lower(), *(_subtag(subtag) for subtag in rest)])


def _subtag(subtag: str) -> str:
    if len(subtag) == 4 and subtag.isalpha():
        return subtag.title()
    return subtag.upper() if len(subtag) == 2 else subtag.lower()


def must_be_somebody_else(actor: Actor, user_id: UUID) -> None:
    """Raise `NotOneself` when the two are one."""
    if actor.id == user_id:
        raise NotOneself


def must_be_able_to_follow(between: Relationship) -> None:
    """Nobody follows across a block: for the blocked side the other is not there, the blocking side is told."""
    if between.blocking:
        raise UserIsBlocked
    if between.blocked_by:
        raise UserNotFound


def must_not_be_a_repost(post: PostRow) -> None:
    """A repost has no life of its own: it is answered, quoted and edited at its original."""
    if post.repost_of_id is not None:
        raise ThisIsARepost(author_id=post.repost_of_author_id, id=post.repost_of_id)


def must_be_repeatable(post: PostRow) -> None:
    """Only what everybody may see may be shown on to others."""
    must_not_be_a_repost(post)
    if post.visibility != "public":
        raise PostIsForFollowers


def must_have_met_a_post(deed: Deed) -> bool:
    """Whether a reaction changed anything. Raises when its post could not be seen, or is a repost."""
    if not deed.seen:
        raise PostNotFound
    if deed.original_id is not None:
        raise ThisIsARepost(author_id=deed.original_author_id, id=deed.original_id)
    return deed.changed


def must_lie_ahead(until: datetime | None, now: datetime) -> None:
    """A mute ends in the future. Raises `Invalid`."""
    if until is not None and not lies_ahead(until, now):
        raise Invalid("query.until", "must be a time to come, within a hundred years, with its zone")
