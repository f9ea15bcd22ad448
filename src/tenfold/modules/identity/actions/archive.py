"""The archive: what identity knows of a person, and how it is gathered from all modules."""

from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.modules.identity.queries import accounts, sessions
from tenfold.modules.identity.queries.sessions import PastSession
from tenfold.modules.identity.shapes import Archive, Me
from tenfold.platform.db import Database, Read
from tenfold.platform.exports import Exports


class Knowledge(msgspec.Struct, frozen=True):
    """What identity knows of a person."""

    account: Me | None
    sessions: list[PastSession]


async def gather(db: Database, actor: Actor, exports: Exports) -> Archive:
    """Everything that the modules know of the asker, at one instant."""
    async with db.read(snapshot=True) as tx:
        modules = {name: await export(tx, actor.id) for name, export in exports.by_module.items()}
        return Archive(exported_at=tx.now, modules=modules)


async def export(tx: Read, user_id: UUID) -> Knowledge:
    """What identity keeps of a person: the account and the sessions; no secrets, hashed or not."""
    return Knowledge(await accounts.find_me(tx, user_id=user_id), await sessions.list_all_sessions(tx, user_id=user_id))
