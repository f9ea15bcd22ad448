"""Failures: which errors are an answer to whoever typed the command, and what the answer is."""

import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
FAILED = 1
FAULT_FOUND = 3


def sentence_of(error: Exception) -> str | None:
    """What to say of an error that needs no traceback; None for one that is a bug."""
    from tenfold.kit.refusals import CannotStart, Refusal
    from tenfold.settings import BadSettings

    if isinstance(error, CannotStart | BadSettings | Refusal):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return _refusal_of_database(error)


def _refusal_of_database(error: Exception) -> str | None:
    """A wrong password or database name in `database.url` is not a bug of ours."""
    code = getattr(error, "sqlstate", None)
    if "asyncpg" in sys.modules and isinstance(code, str) and code[:2] in ("28", "3D"):
        return f"The database refuses the connection: {error}; see database.url."
    return None


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, with warnings of what it uses on standard error."""
    import asyncio

    from tenfold.platform.observe import logs

    logs.configure("console", "warning", descriptor=2)
    with asyncio.Runner() as runner:
        return runner.run(work)
