"""Lists know their own cursors: one of another list, or of the same list under another address, is refused by name.

Most cursors hold an id, which every list could read; taken from elsewhere it would start somewhere in the middle, and
look like an answer. The mark is no secret: whoever forges one only chooses where their own reading starts.
"""

import base64
import functools
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from tenfold.kit.pages import Page
from tenfold.kit.refusals import Invalid

CURSOR = "cursor"
_MARK_BYTES = 3
_MARK_LENGTH = 4


def mark_of(door: str, address: Iterable[object]) -> str:
    """Four characters that stand for one list: its door, and the values in its path."""
    name = "\n".join([door, *map(str, address)])
    return base64.urlsafe_b64encode(hashlib.blake2b(name.encode(), digest_size=_MARK_BYTES).digest()).decode()


def marking(function: Callable[..., Awaitable[Any]], door: str, path: tuple[str, ...]) -> Callable[..., Awaitable[Any]]:
    """A list's function, with cursors that carry its mark in both directions. Raises `Invalid` for a foreign one."""

    @functools.wraps(function)
    async def marked(**arguments: Any) -> Any:
        mark = mark_of(door, [arguments[name] for name in path])
        cursor = arguments[CURSOR]
        if cursor is not None:
            if not cursor.startswith(mark) or len(cursor) == _MARK_LENGTH:
                raise Invalid(f"query.{CURSOR}", "is not a cursor of this list")
            arguments[CURSOR] = cursor[_MARK_LENGTH:]
        page = await function(**arguments)
        if not isinstance(page, Page) or page.next is None:
            return page
        return msgspec.structs.replace(page, next=mark + page.next)

    return marked
