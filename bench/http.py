"""`python -m bench.http`: ours at stage 0, a peer and the floor side by side over HTTP, on the same data."""

import argparse
import asyncio
import signal
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import report
from bench.machine import facts, memory_mb
from bench.scenarios import SCENARIOS, cast, introduce, must_agree
from bench.search import Effort, Search, Trial
from bench.systems import all_three, sample, seconds_of_help, started

_CACHED = 5.5  # seconds after which every public page is from after the last job


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="bench.http", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round on a small world; for a first look only")
    parser.add_argument("--users", type=int, help="people in the world (100000; quick: 5000)")
    parser.add_argument("--posts", type=int, help="posts in the world (1000000; quick: 50000)")
    parser.add_argument("--seconds", type=float, help="seconds of one run (3; quick: 0.7)")
    parser.add_argument("--rounds", type=int, help="rounds over the three systems (3; quick: 1)")
    parser.add_argument("--only", action="append", help="a scenario by (the beginning of) its name; may be repeated")
    parser.add_argument("--poisson", action="store_true", help="draw the gaps between arrivals, in place of equal ones")
    parser.add_argument("--data", type=Path, help="the folder of the world; made once, then used again")
    chosen = parser.parse_args()
    quick = chosen.quick
    chosen.users = chosen.users or (5_000 if quick else 100_000)
    chosen.posts = chosen.posts or (50_000 if quick else 1_000_000)
    chosen.seconds = chosen.seconds or (0.7 if quick else 3.0)
    chosen.rounds = chosen.rounds or (1 if quick else 3)
    name = f"tenfold-bench-{chosen.users}-{chosen.posts}"
    chosen.data = chosen.data or Path(tempfile.gettempdir()) / name
    return chosen


async def measure_process(quick: bool) -> list[dict[str, Any]]:
    """What a server costs that does nothing: its starts, its memory; and the command line's help."""
    with tempfile.TemporaryDirectory(prefix="tenfold-bench-") as folder:
        async with started(Path(folder)) as (first, _):
            pass
        async with started(Path(folder)) as (later, pid):
            await asyncio.sleep(2 if quick else 5)
            memory = memory_mb(pid)
    return [
        {"name": "first start to first answer", "value": first, "unit": "s", "at_most": 8.0},
        {"name": "later start to first answer", "value": later, "unit": "s", "at_most": 3.0},
        {"name": "idle memory without Postgres, RSS", "value": memory["rss"], "unit": "MB", "at_most": 160.0},
        {"name": "idle memory without Postgres, PSS", "value": memory["pss"], "unit": "MB"},
        {"name": "tenfold --help", "value": await seconds_of_help(3 if quick else 7), "unit": "s", "at_most": 0.3},
    ]


async def measure_scenarios(chosen: argparse.Namespace) -> dict[tuple[str, str], Trial]:
    """Every scenario on every system, round by round, the systems taking turns within each."""
    scenarios = [s for s in SCENARIOS if not chosen.only or any(s.name.startswith(name) for name in chosen.only)]
    effort = Effort(chosen.seconds, 0.25, first=3 if chosen.quick else 4, later=2, poisson=chosen.poisson)
    async with all_three(chosen.data) as (systems, database, postgres):
        people = await cast(database)
        search = Search(postgres, effort)
        await introduce(people, systems)
        await search.settle(systems[0])
        await asyncio.sleep(_CACHED)
        await must_agree(people, systems)
        say("All three give the same answers.")
        trials = {
            (s.name, system.name): Trial(s.requests(people, system.name)) for s in scenarios for system in systems
        }
        for number in range(chosen.rounds):
            for scenario in scenarios:
                for system in systems:
                    best = await search.round(system, trials[scenario.name, system.name])
                    rate = (
                        f"{best.outcome.throughput:7.0f}/s, p99 {best.outcome.p99:5.1f} ms" if best else "no rate holds"
                    )
                    say(f"  {number + 1}/{chosen.rounds}  {scenario.name:<22}{system.name:<6}{rate}")
        return trials


async def main() -> None:
    """Build the world, measure, print, and keep the result. Ended early, it stops the servers that it started."""
    if (task := asyncio.current_task()) is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    chosen = options()
    machine = facts()
    say(f"A world of {chosen.users} people and {chosen.posts} posts in {chosen.data} ...")
    seconds = await sample(chosen.data, chosen.users, chosen.posts)
    say("  is there already." if seconds is None else f"  made in {seconds:.0f} s.")
    measures = await measure_process(chosen.quick)
    if seconds is not None:
        measures.append({"name": "making the world", "value": seconds, "unit": "s", "at_most": 180.0})
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "users": chosen.users,
        "posts": chosen.posts,
        "seconds_per_run": chosen.seconds,
        "scenarios": report.summed_up(await measure_scenarios(chosen)),
        "measures": measures,
    }
    text = report.table(document)
    say("")
    say(text)
    say(f"Kept in {report.keep(document, text, name='http', quick=chosen.quick)} and the .json beside it.")


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        raise SystemExit("stopped before the end; nothing is kept") from None
