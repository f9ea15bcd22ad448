"""What chat does on a clock: old messages go to the archive, and what is not to be kept any longer goes for good."""

from datetime import timedelta

from tenfold.modules.chat.actions import age
from tenfold.modules.chat.queries import archive
from tenfold.modules.chat.shapes import NIL, ChatPolicy
from tenfold.platform.db import Database
from tenfold.platform.jobs import every


@every("23 2 * * *", priority="low", timeout=timedelta(hours=4))
async def archive_messages(db: Database, policy: ChatPolicy) -> None:
    """Move messages that are old enough to the partitions of their months, conversation by conversation."""
    before, after = db.clock.now() - policy.archive_after, NIL
    while True:
        async with db.read() as tx:
            aged = await archive.list_aged_conversations(tx, before=before, after=after, limit=policy.batch)
        for conversation_id in aged:
            await age.archive_messages(db, conversation_id, before=before, batch=policy.batch)
        if not aged:
            return
        after = aged[-1]


@every(timedelta(hours=1), priority="low", timeout=timedelta(minutes=50))
async def trim_histories(db: Database, policy: ChatPolicy) -> None:
    """Delete what conversations with a limit do not keep any longer, a batch in each transaction."""
    after = NIL
    while True:
        async with db.read() as tx:
            keeping = await archive.list_keeping(tx, after=after, limit=policy.batch)
        for one in keeping:
            while await db.transact(lambda tx, one=one: age.trim_history(tx, one, batch=policy.batch)):
                pass
        if not keeping:
            return
        after = keeping[-1].conversation_id
