"""How the making of a sample is told to whoever watches it."""

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Called after each batch: what was written, how many just now, and how many there will be (None: not known)."""


def silent(what: str, count: int, total: int | None) -> None:
    """Tell nobody."""
