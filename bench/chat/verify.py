"""After each run: what was acknowledged is stored once, as it was acknowledged, and was heard by who listened."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import asyncpg

from bench.chat.generator import Order, Outcome

Places = Mapping[str, tuple[int, int]]
"""The last seq and the last change of each conversation, by its id."""


@dataclass
class Verdict:
    """Faults by kind; `is_clean` when there are none. `stored` counts the messages of the run that were found."""

    acknowledged: int = 0
    stored: int = 0
    lost: int = 0
    doubled: int = 0
    misnumbered: int = 0
    gaps: int = 0
    unheard: int = 0
    cut_off: int = 0

    @property
    def is_clean(self) -> bool:
        """Nothing lost, nothing twice, no number missing, and every listener heard everything in order."""
        return not any((self.lost, self.doubled, self.misnumbered, self.gaps, self.unheard, self.cut_off))

    def as_json(self) -> dict[str, int]:
        """For the report."""
        return asdict(self)


async def places(database: Mapping[str, Any], conversation_ids: Sequence[str]) -> Places:
    """Where conversations stand."""
    connection = await asyncpg.connect(**database)
    try:
        return await _places(connection, conversation_ids)
    finally:
        await connection.close()


async def _places(connection: asyncpg.Connection, conversation_ids: Sequence[str]) -> Places:
    statement = "select conversation_id, last_seq, last_change from conversations where conversation_id = any($1)"
    rows = await connection.fetch(statement, list(conversation_ids))
    return {str(row[0]): (row[1], row[2]) for row in rows}


async def verify(database: Mapping[str, Any], order: Order, outcome: Outcome, before: Places) -> Verdict:
    """Compare a run with what is stored. `before` is where its conversations stood."""
    after, stored = await _stored(database, before)
    verdict = Verdict(cut_off=len(outcome.lost))
    for place, pair in enumerate(order.pairs):
        (last_seq, last_change), rows = before[pair.conversation_id], stored[pair.conversation_id]
        seqs = [seq for seq, _ in rows]
        verdict.gaps += seqs != list(range(last_seq + 1, after[pair.conversation_id][0] + 1))
        verdict.unheard += _unheard(seqs, outcome.heard[place], outcome.is_complete)
        expected = list(range(last_change + 1, after[pair.conversation_id][1] + 1))
        verdict.unheard += _unheard(expected, outcome.offsets[place], outcome.is_complete)
        named = {name: seq for seq, name in rows}
        times = Counter(name for _, name in rows)
        verdict.doubled += sum(count - 1 for count in times.values())
        verdict.stored += sum(1 for name in times if name.startswith(f"{order.run}-"))
        for number in range(place, len(outcome.due), len(order.pairs)):
            if seq := outcome.seqs[number]:
                found = named.get(f"{order.run}-{number}")
                verdict.acknowledged += 1
                verdict.lost += found is None
                verdict.misnumbered += found is not None and found != seq
    return verdict


async def _stored(database: Mapping[str, Any], before: Places) -> tuple[Places, dict[str, list[tuple[int, str]]]]:
    """Where the conversations stand now, and what came to them, in one snapshot: a server may still write."""
    statement = "select seq, client_msg_id from messages where conversation_id = $1 and seq > $2 order by seq"
    found: dict[str, list[tuple[int, str]]] = {}
    connection = await asyncpg.connect(**database)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            after = await _places(connection, list(before))
            for id_, (last_seq, _) in before.items():
                found[id_] = [(row[0], row[1] or "") for row in await connection.fetch(statement, id_, last_seq)]
    finally:
        await connection.close()
    return after, found


def _unheard(told: list[int], heard: list[int], is_complete: bool) -> int:
    """How many of the numbers are missing from what was heard, or stand in another order there, or twice.

    Where the run ended with messages under way, only those up to the last one heard are asked for.
    """
    if not is_complete:
        told = told[: len(heard)]
    return 0 if told == heard else len(set(told) ^ set(heard)) or 1
