"""From flat rows to posts as the world sees them: authors' cards come from identity, through the cache."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from tenfold.kit.ids import time_of
from tenfold.kit.pages import Page, cut, to_cursor
from tenfold.modules.feed.shapes import (
    Counts,
    Muted,
    OtherRow,
    Person,
    PersonRow,
    Post,
    PostRow,
    Quoted,
    Ref,
    Viewer,
)
from tenfold.modules.identity import UserCard

Cards = Mapping[UUID, UserCard]


def writers_of(rows: Iterable[PostRow]) -> set[UUID]:
    """Whose cards these rows need."""
    return {row.author_id for row in rows}


def to_posts(rows: Sequence[PostRow], cards: Cards, *, signed_in: bool) -> list[Post]:
    """The posts of a list, in its order.

    A post whose author has no card (any more) is left out, as is a repost without its original; a quote without its
    original keeps the address alone.
    """
    originals: dict[UUID, Post] = {}
    for row in rows:
        if row.embedded and row.author_id in cards:
            originals[row.post_id] = _post(row, cards, None, signed_in)
    return [
        _post(row, cards, originals, signed_in)
        for row in rows
        if not row.embedded and row.author_id in cards and (row.repost_of_id is None or row.repost_of_id in originals)
    ]


def to_page(rows: Sequence[PostRow], cards: Cards, *, signed_in: bool, limit: int) -> Page[Post]:
    """A page from a statement that asked for `limit + 1` rows."""
    top = [row for row in rows if not row.embedded]
    if len(top) <= limit:
        return Page(to_posts(rows, cards, signed_in=signed_in))
    last = top[limit - 1].position
    dropped = top[limit].post_id
    kept = [row for row in rows if row.embedded or row.post_id != dropped]
    return Page(to_posts(kept, cards, signed_in=signed_in), to_cursor(last))


def _post(row: PostRow, cards: Cards, originals: Mapping[UUID, Post] | None, signed_in: bool) -> Post:
    quote_of = repost_of = None
    if row.quote_of_id is not None and row.quote_of_author_id is not None:
        quote_of = Quoted(
            row.quote_of_author_id, row.quote_of_id, originals.get(row.quote_of_id) if originals else None
        )
    if row.repost_of_id is not None and originals:
        repost_of = originals.get(row.repost_of_id)
    return Post(
        id=row.post_id,
        author=cards[row.author_id],
        body=row.body,
        visibility=row.visibility,
        lang=row.lang,
        created_at=row.created_at,
        edited_at=row.edited_at,
        counts=Counts(row.likes, row.reposts, row.quotes, row.replies),
        viewer=Viewer(row.liked, row.bookmarked, row.reposted, row.follows_author) if signed_in else None,
        reply_to=_ref(row.reply_to_author_id, row.reply_to_id),
        root=_ref(row.root_author_id, row.root_id),
        repost_of=repost_of,
        quote_of=quote_of,
    )


def _ref(author_id: UUID | None, post_id: UUID | None) -> Ref | None:
    return None if author_id is None or post_id is None else Ref(author_id, post_id)


def to_people(rows: Sequence[PersonRow], cards: Cards, limit: int) -> Page[Person]:
    """A page of people, each since the instant of their position."""
    page = cut(rows, limit, lambda row: row.position)
    people = [Person(cards[row.user_id], time_of(row.position)) for row in page.items if row.user_id in cards]
    return Page(people, page.next)


def to_blocked(rows: Sequence[OtherRow], cards: Cards, limit: int) -> Page[Person]:
    """A page of those whom one blocks."""
    page = cut(rows, limit, lambda row: row.user_id)
    return Page([Person(cards[row.user_id], row.since) for row in page.items if row.user_id in cards], page.next)


def to_muted(rows: Sequence[OtherRow], cards: Cards, limit: int) -> Page[Muted]:
    """A page of those whom one mutes."""
    page = cut(rows, limit, lambda row: row.user_id)
    muted = [Muted(cards[row.user_id], row.since, row.until) for row in page.items if row.user_id in cards]
    return Page(muted, page.next)
