"""HTTP: doors with policy. A door says who may come in, what it costs, what it refuses, and calls one thing.

    @door.get("/users/{user_id:uuid}/posts", limit="read", refuses=[UserNotFound])
    async def list_posts(tx: Read, actor: Actor | None, user_id: UUID, limit: Limit = 20) -> Page[Post]:

A door's parameters are given by their types and names: `tx: Read` or `tx: Write` (a transaction around the call),
`actor: Actor` (must be signed in) or `actor: Actor | None`, `client: Client` (address and user agent), `data` (the JSON
body, a Struct that forbids unknown fields), the path's parameters by name, any part of the platform by type; all others
are query parameters.
"""

from tenfold.platform.http.doors import Client, Door, Extra, door
from tenfold.platform.http.idempotency import forget

__all__ = ["Client", "Door", "Extra", "door", "forget"]
