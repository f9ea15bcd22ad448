"""`python -m bench.storm`: what point reads feel of clients that sign in without pause, at stage 0, on one machine."""

import argparse
import asyncio
import itertools
import signal
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import report
from bench.load import Order, Outcome, play
from bench.machine import Stopwatch, facts
from bench.scenarios import SCENARIOS, cast
from bench.systems import ours, running, sample
from tenfold.platform.db.embedded import EmbeddedPostgres
from tenfold.settings.product import Passwords

_USERS, _POSTS = 5_000, 50_000  # the world of `bench.http --quick`
_LEAD = 1.0  # seconds that the storm blows before reads are counted, and after


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="bench.storm", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds; for a first look only")
    parser.add_argument("--clients", type=int, default=40, help="clients that sign in, each again at once (40)")
    parser.add_argument("--rate", type=float, default=100.0, help="point reads per second, open-loop (100)")
    parser.add_argument("--seconds", type=float, help="seconds of each of the two runs (20; quick: 4)")
    folder = Path(tempfile.gettempdir()) / f"tenfold-bench-{_USERS}-{_POSTS}"
    parser.add_argument("--data", type=Path, default=folder, help="the folder of the world; made once, then used again")
    chosen = parser.parse_args()
    chosen.seconds = chosen.seconds or (4.0 if chosen.quick else 20.0)
    return chosen


async def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    """Reads alone, then the same reads in the storm."""
    async with running("ours", *ours(chosen.data)) as system:
        postgres = EmbeddedPostgres(chosen.data)
        address = await postgres.start(join=True)
        try:
            people = await cast(address.options)
            database = int((chosen.data / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])
            streams: dict[str, Iterator[bytes]] = {s.name: s.requests(people, "ours") for s in SCENARIOS}
            count = int(chosen.rate * (chosen.seconds + _LEAD)) + 10
            asked = list(itertools.islice(streams["point read"], count))
            reads = Order(system.port, asked, chosen.seconds, rate=chosen.rate, warm_up=_LEAD)
            calm = await play(reads)
            sign_ins = list(itertools.islice(streams["sign-in"], 5_000))
            storm = Order(system.port, sign_ins, chosen.seconds + _LEAD, warm_up=_LEAD, connections=chosen.clients)
            watch = Stopwatch(system.pid, database)
            stormy, storming = await asyncio.gather(play(reads), play(storm))
            cores = {"server": watch.server() / watch.seconds, "postgres": watch.postgres() / watch.seconds}
        finally:
            await postgres.stop()
    return {"calm": _figures(calm), "in_the_storm": _figures(stormy), "sign_ins": _figures(storming), "cores": cores}


def _figures(outcome: Outcome) -> dict[str, Any]:
    return {
        "per_second": round(outcome.throughput, 1),
        "p50_ms": round(outcome.p50, 2),
        "p99_ms": round(outcome.p99, 2),
        "longest_ms": round(outcome.longest, 1),
        "failed": outcome.failed,
        "statuses": {str(status): count for status, count in outcome.statuses.items()},
    }


def table(document: dict[str, Any]) -> str:
    """The document for people."""
    hash_, measured = document["argon2id"], document["measured"]
    rows = (
        ("point reads, calm", measured["calm"]),
        ("point reads, in the storm", measured["in_the_storm"]),
        ("sign-ins", measured["sign_ins"]),
    )
    return "\n".join([
        report.headline(document, f"{document['users']} users, {document['posts']} posts"),
        "",
        f"{document['clients']} clients sign in without pause; reads come at {document['rate']:g}/s beside them",
        f"Argon2id: {hash_['memory_kib']} KiB, {hash_['time_cost']} passes, {hash_['lanes']} lane(s), "
        f"{hash_['workers']} thread(s) hash, {hash_['queue']} callers may wait",
        "",
        f"{'':<28}{'per second':>12}{'p50 ms':>10}{'p99 ms':>10}{'longest':>10}{'failed':>8}",
        *(
            f"{name:<28}{row['per_second']:>12.1f}{row['p50_ms']:>10.2f}{row['p99_ms']:>10.2f}"
            f"{row['longest_ms']:>10.1f}{row['failed']:>8}"
            for name, row in rows
        ),
        "",
        f"cores busy in the storm: server {measured['cores']['server']:.2f}, "
        f"Postgres {measured['cores']['postgres']:.2f}",
        "",
    ])  # fmt: skip


async def main() -> None:
    """Build the world, measure, print, and keep the result. Ended early, it stops the server that it started."""
    if (task := asyncio.current_task()) is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    chosen, machine = options(), facts()
    await sample(chosen.data, _USERS, _POSTS)
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "users": _USERS,
        "posts": _POSTS,
        "clients": chosen.clients,
        "rate": chosen.rate,
        "seconds": chosen.seconds,
        "argon2id": Passwords().model_dump(),
        "measured": await measure(chosen),
    }
    text = table(document)
    print(text)
    print(f"Kept in {report.keep(document, text, name='storm', quick=chosen.quick)} and the .json beside it.")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        raise SystemExit("stopped before the end; nothing is kept") from None
