"""Statements that reach into the archive: a message that is about to change belongs among the others."""

from tenfold.platform.db import run

bring_back = run("""
with back as (
    delete from archived_messages where conversation_id = :conversation_id and seq = :seq returning *
)
insert into messages select * from back""")
