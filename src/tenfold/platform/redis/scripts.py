"""Scripts that run inside Redis: sent once by their text, from then on called by their digest."""

import hashlib
from collections.abc import Sequence
from typing import Any

from tenfold.platform.redis.connection import Connection, Refused, Word


class Script:
    """A Lua script; all its keys must be in one group."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def run(
        self, connection: Connection, keys: Sequence[Word], args: Sequence[Word], *, asking: bool = False
    ) -> Any:
        """What the script returns. A server that does not know it yet is given its text first."""
        try:
            return await self._call(connection, keys, args, asking=asking)
        except Refused as refusal:
            if refusal.code != "NOSCRIPT":
                raise
        await connection.ask("SCRIPT", "LOAD", self._text)
        return await self._call(connection, keys, args, asking=asking)

    async def _call(self, connection: Connection, keys: Sequence[Word], args: Sequence[Word], *, asking: bool) -> Any:
        if asking:
            connection.say("ASKING")
        return await connection.ask("EVALSHA", self._digest, len(keys), *keys, *args)
