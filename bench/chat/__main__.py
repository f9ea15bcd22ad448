"""`python -m bench.chat`: how many messages per second reach the other member's socket in time, at stage 0.

Beside a large stored world: the highest sustained rate through HTTP and through the socket's calls, then a spike of
five times a baseline. After each run the database is asked whether anything was lost.
"""

import argparse
import asyncio
import itertools
import signal
import tempfile
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench import report as reports
from bench.chat import figures, report
from bench.chat.generator import Door, Order, Pair, Phase, play
from bench.chat.search import Cores, Probe, highest
from bench.chat.stage import LIMITS, Stage, chosen_pairs, stage, stored
from bench.chat.verify import Verdict, places, verify
from bench.machine import Stopwatch, facts

_PEAK = 5.0
_BEFORE = 10.0
_FAULTS = ("lost", "doubled", "misnumbered", "gaps", "unheard", "cut_off")


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="bench.chat", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short probes on a small world; for a first look only")
    parser.add_argument("--users", type=int, help="people (100000; quick: 5000)")
    parser.add_argument("--conversations", type=int, help="stored conversations (1000000; quick: 20000)")
    parser.add_argument("--messages", type=int, help="stored messages (10000000; quick: 200000)")
    parser.add_argument("--pairs", type=int, help="pairs of a writer and a listener (1000; quick: 200)")
    parser.add_argument("--seconds", type=float, help="seconds of a probe that count (20; quick: 4)")
    parser.add_argument("--warm-up", type=float, help="seconds before them (4; quick: 1)")
    parser.add_argument("--probes", type=int, help="probes per door at most (9; quick: 4)")
    parser.add_argument("--start", type=float, help="sends per second of the first probe (700; quick: 300)")
    parser.add_argument("--door", choices=["http", "rpc"], action="append", help="one door only; may be repeated")
    parser.add_argument("--spike", type=float, help="seconds of the spike (20; quick: 5); 0: none")
    parser.add_argument("--tail", type=float, help="seconds after the spike (75; quick: 15)")
    parser.add_argument("--share", type=float, default=0.4, help="the spike's baseline, of what holds (0.4)")
    parser.add_argument("--data", type=Path, help="the folder of the world; made once, then used again for a day")
    chosen = parser.parse_args()
    full = {"users": 100_000, "conversations": 1_000_000, "messages": 10_000_000, "pairs": 1_000}
    full |= {"seconds": 20.0, "warm_up": 4.0, "probes": 9, "start": 700.0, "spike": 20.0, "tail": 75.0}
    quick = {"users": 5_000, "conversations": 20_000, "messages": 200_000, "pairs": 200}
    quick |= {"seconds": 4.0, "warm_up": 1.0, "probes": 4, "start": 300.0, "spike": 5.0, "tail": 15.0}
    for name, value in (quick if chosen.quick else full).items():
        if getattr(chosen, name) is None:
            setattr(chosen, name, value)
    folder = f"tenfold-bench-chat-{chosen.conversations}-{chosen.messages}"
    chosen.data = chosen.data or Path(tempfile.gettempdir()) / folder
    chosen.door = chosen.door or ["http", "rpc"]
    return chosen


class Bench:
    """Plays orders on a stage, one after the other, and checks each."""

    def __init__(self, chosen: argparse.Namespace, on: Stage, pairs: list[Pair]) -> None:
        self._chosen = chosen
        self._stage = on
        self._pairs = pairs
        self._runs = itertools.count(1)
        self._began = datetime.now(UTC).strftime("%m%d%H%M%S")
        self.faults: Counter[str] = Counter()

    async def run(self, door: Door, phases: list[Phase], **settings: Any) -> tuple[Any, Cores, Verdict]:
        """Play, measure the processor time of everybody, and verify."""
        order = Order(
            port=self._stage.port,
            pairs=self._pairs,
            door=door,
            phases=phases,
            run=f"{self._began}.{next(self._runs)}",
            **settings,
        )
        before = await places(self._stage.database, [pair.conversation_id for pair in self._pairs])
        watch = Stopwatch(self._stage.pid, self._stage.postgres)
        outcome = await play(order)
        seconds = max(outcome.seconds, 0.001)
        cores = Cores(watch.server() / seconds, watch.postgres() / seconds, outcome.processor_seconds / seconds)
        verdict = await verify(self._stage.database, order, outcome, before)
        for kind in _FAULTS:
            self.faults[kind] += getattr(verdict, kind)
        for reason in outcome.lost[:3]:
            say(f"    {reason}")
        return outcome, cores, verdict

    async def probe(self, door: Door, rate: float) -> Probe:
        """One probe at one rate."""
        chosen = self._chosen
        outcome, cores, verdict = await self.run(door, [Phase(rate, chosen.warm_up + chosen.seconds)])
        return Probe(rate, chosen.warm_up, chosen.seconds, outcome, cores, verdict)

    async def sustained(self, door: Door) -> dict[str, Any]:
        """The highest rate that holds, and every probe that was made."""
        chosen = self._chosen
        best, made = await highest(partial(self.probe, door), chosen.start, chosen.probes, partial(_say_probe, door))
        return {"best": best.as_json() if best else None, "probes": [probe.as_json() for probe in made]}

    async def spike(self, door: Door, sustained: float) -> dict[str, Any]:
        """A baseline, five times that for a while, and the baseline again; nobody gives up."""
        chosen = self._chosen
        baseline, begins = sustained * chosen.share, _BEFORE
        ends, over = begins + chosen.spike, begins + chosen.spike + chosen.tail
        phases = [Phase(baseline, begins), Phase(baseline * _PEAK, chosen.spike), Phase(baseline, chosen.tail)]
        outcome, cores, verdict = await self.run(door, phases, patience=None, drain=60.0)
        everything = range(len(outcome.due))
        before, during = figures.due_between(outcome, 2, begins), figures.due_between(outcome, begins, ends)
        seconds = figures.by_second(outcome, over)
        in_spike = seconds[int(begins) : int(ends)]
        return {
            "baseline": baseline,
            "share": chosen.share,
            "peak": baseline * _PEAK,
            "seconds": chosen.spike,
            "before": figures.delivery(outcome, before).as_json(),
            "during": figures.delivery(outcome, during).as_json(),
            "acknowledged_per_second": sum(row["acknowledged"] for row in in_spike) / max(1, len(in_spike)),
            "sent": len(everything),
            "acknowledged": figures.acknowledged(outcome, everything),
            "refusals": figures.refusals(outcome),
            "seconds_to_recover": figures.seconds_to_recover(outcome, ends, over),
            "cores": cores.as_json(),
            "verdict": verdict.as_json(),
            "by_second": seconds,
        }


async def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    """Everything that runs against the server."""
    sustained: dict[str, Any] = {}
    spikes: dict[str, Any] = {}
    async with stage(chosen.data) as on:
        pairs = await chosen_pairs(on.database, chosen.pairs)
        bench = Bench(chosen, on, pairs)
        for door in chosen.door:
            sustained[door] = await bench.sustained(door)
            best = sustained[door]["best"]
            if best and chosen.spike:
                say(f"  {door:<5}a spike of five times {best['rate'] * chosen.share:.0f}/s ...")
                spikes[door] = await bench.spike(door, best["rate"])
        faults = {kind: count for kind, count in bench.faults.items() if count}
    return {"pairs": len(pairs), "sustained": sustained, "spikes": spikes, "faults": faults}


async def main() -> None:
    """Store the world, measure, print, and keep the result. Ended early, it stops the server that it started."""
    if (task := asyncio.current_task()) is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    chosen, machine = options(), facts()
    size = {"users": chosen.users, "conversations": chosen.conversations, "messages": chosen.messages}
    say(f"{chosen.conversations} conversations with {chosen.messages} messages in {chosen.data} ...")
    loading = await stored(chosen.data, **size)
    say("  are there already." if loading is None else f"  stored in {loading:.0f} s.")
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        **size,
        "seconds": chosen.seconds,
        "loading_seconds": loading,
        "limits": LIMITS,
        **await measure(chosen),
    }
    text = report.table(document)
    say("")
    say(text)
    say(f"Kept in {reports.keep(document, text, name='chat', quick=chosen.quick)} and the .json beside it.")
    if document["faults"]:
        raise SystemExit("messages were lost, doubled, misnumbered or not heard: see above")


def _say_probe(door: Door, probe: Probe) -> None:
    say(f"  {door:<5}{report.line(probe.as_json())}")


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        raise SystemExit("stopped before the end; nothing is kept") from None
