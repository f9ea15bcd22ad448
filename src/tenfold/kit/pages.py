"""Pages: lists that are cut by an opaque cursor, never by an offset."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec

from tenfold.kit.refusals import Invalid

T = TypeVar("T")
C = TypeVar("C")

Limit = Annotated[int, msgspec.Meta(ge=1, le=100, description="How many items to return at most.")]
CursorText = Annotated[str, msgspec.Meta(max_length=512, description="Where to go on: the `next` of the page before.")]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list. `next` is the cursor of the following page, or null at the end."""

    items: list[T]
    next: str | None = None


def to_cursor(position: object) -> str:
    """Write a position in a list (any msgspec value) as an opaque, URL-safe text."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(position)).rstrip(b"=").decode()


def from_cursor(cursor: str | None, shape: type[C]) -> C | None:
    """Read a cursor back into its position; None stays None. Raises `Invalid` for a text that we did not write."""
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(raw, type=shape)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise Invalid("query.cursor", "is not a cursor of this list") from None


def cut(rows: Sequence[T], limit: int, position: Callable[[T], object]) -> Page[T]:
    """Make a page of at most `limit` from a query that asked for `limit + 1` rows."""
    if len(rows) <= limit:
        return Page(list(rows))
    kept = list(rows[:limit])
    return Page(kept, to_cursor(position(kept[-1])))
