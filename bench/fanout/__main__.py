"""`python -m bench.fanout`: the most messages that one core delivers in time, by ours, Socket.IO and `websockets`."""

import argparse
import json
import signal
import statistics
import subprocess
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from bench.fanout.audience import Outcome
from bench.fanout.systems import SOCKETIO, Stage, three
from bench.machine import facts, processor_seconds
from bench.sockets.servers import ROOT

BOUND = 200.0
RESULTS = ROOT / "bench" / "results"
_PACKAGES = ("tenfold", "picows", "uvloop", "msgspec", "websockets", "hdrhistogram")
_FIRST, _LEAST = 20_000.0, 5_000.0
_LONGEST_PROBE = 10.0
_TO_SOCKETIO, _PER_CORE = 3.0, 12_500.0


@dataclass(frozen=True)
class Scenario:
    """So many rooms with so many listeners each."""

    rooms: int
    listeners: int

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.rooms} × {self.listeners} listeners"


@dataclass
class Best:
    """A probe of a round, and at last the best one: what came back, and the server's processor time per delivery."""

    outcome: Outcome
    rate: float
    server_us: float

    @property
    def holds(self) -> bool:
        """Whether everything came once, and 99 of 100 in time."""
        return self.outcome.is_exact and self.outcome.p99 < BOUND

    def as_failure(self) -> dict[str, Any]:
        """Why it does not hold, for the report."""
        outcome = self.outcome
        failure = {"rate": round(self.rate), "p99_ms": outcome.p99, "troubles": outcome.troubles[:3]}
        return {**failure, "delivered": f"{outcome.delivered} of {outcome.expected}"}


@dataclass
class Trial:
    """One scenario at one server: the best of each round, and at how much it failed last."""

    best: list[Best] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)

    def median(self, of: Any) -> float:
        """The median over the rounds; 0 when no rate holds."""
        return statistics.median(of(best) for best in self.best) if self.best else 0.0


def search(stage: Stage, scenario: Scenario, trial: Trial, seconds: float) -> Best | None:
    """The highest rate of deliveries that keeps 99 of 100 within the bound, and loses and doubles none.

    A rate at which messages come late is tried once more, since others on the machine may have been the reason.
    """
    known = trial.median(lambda best: best.rate)
    rate, step = (0.9 * known, 1.12) if known else (_FIRST, 1.5)
    low, high, best = 0.0, 0.0, None
    while not (low and high and high / low < 1.05) and rate >= _LEAST:
        found = _probe(stage, scenario, rate, seconds)
        if not found.holds and found.outcome.is_exact:
            trial.failed.append(found.as_failure())
            found = _probe(stage, scenario, rate, seconds)
        if found.holds:
            low, best = rate, found
            rate = (low + high) / 2 if high else rate * step
        else:
            high = rate
            trial.failed.append(found.as_failure())
            rate = (low + high) / 2 if low else rate / step
    if best is not None:
        trial.best.append(best)
    return best


def _probe(stage: Stage, scenario: Scenario, rate: float, seconds: float) -> Best:
    """Publish so that `rate` deliveries are due each second; at least twenty times, unless that takes too long."""
    publications = rate / scenario.listeners
    warm_up = max(0.5, 2 / publications)
    before = processor_seconds(stage.pid)
    outcome = stage.probe(publications, max(seconds, min(20 / publications, _LONGEST_PROBE)), warm_up)
    spent = processor_seconds(stage.pid) - before
    return Best(outcome, rate, 1e6 * spent / max(1, outcome.delivered))


def measure(chosen: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Round by round, scenario by scenario, the servers take turns."""
    scenarios = [Scenario(1, chosen.listeners), Scenario(chosen.listeners // 10, 10)]
    systems = three(folder, chosen.listeners)
    trials: defaultdict[tuple[str, str], Trial] = defaultdict(Trial)
    for number in range(chosen.rounds):
        for scenario in scenarios:
            for system in systems:
                place = Path(tempfile.mkdtemp(dir=folder))
                place.chmod(0o755)
                with Stage(system, place, rooms=scenario.rooms, listeners=scenario.listeners) as stage:
                    best = search(stage, scenario, trials[scenario.name, system.name], chosen.seconds)
                found = _in_words(best) if best else "no rate holds"
                say(f"  {number + 1}/{chosen.rounds}  {scenario.name:<22}{system.name:<12}{found}")
    return [_row(scenario, {s.name: trials[scenario.name, s.name] for s in systems}) for scenario in scenarios]


def _in_words(best: Best) -> str:
    outcome = best.outcome
    return f"{best.rate:8.0f}/s, p99 {outcome.p99:5.1f} ms, {best.server_us:5.2f} µs each, audience {outcome.cpu:.0%}"


def _row(scenario: Scenario, trials: dict[str, Trial]) -> dict[str, Any]:
    systems = {
        name: {
            "per_second_and_core": round(trial.median(lambda best: best.rate)),
            "p50_ms": round(trial.median(lambda best: best.outcome.p50), 1),
            "p99_ms": round(trial.median(lambda best: best.outcome.p99), 1),
            "server_us": round(trial.median(lambda best: best.server_us), 2),
            "audience_core": round(trial.median(lambda best: best.outcome.cpu), 2),
            "rounds": [round(best.rate) for best in trial.best],
            "failed_at": trial.failed[-3:],
        }
        for name, trial in trials.items()
    }
    ours, theirs = (systems[name]["per_second_and_core"] for name in ("ours", "socket.io"))
    return {"scenario": scenario.name, "systems": systems, "ours_to_socketio": ours / theirs if theirs else None}


def table(document: dict[str, Any]) -> str:
    """The document as a table."""
    machine = document["machine"]
    lines = [
        f"{document['at']} · {machine['cores']} × {machine['cpu']}, {machine['memory_gb']} GB · "
        f"load before {machine['load_before']:.1f} · node {document['node']}, socket.io {document['socketio']}",
        "",
        f"Deliveries per second by one core with p99 < {BOUND:.0f} ms from due to receipt; medians of the rounds.",
        "A client publishes, the server brings it to the room; nothing is kept. The audience has the other core.",
        "",
        f"{'scenario':<24}{'server':<12}{'per second':>12}{'p50 ms':>9}{'p99 ms':>9}{'µs each':>9}{'audience':>10}",
    ]
    for row in document["scenarios"]:
        for name, found in row["systems"].items():
            lines.append(
                f"{row['scenario']:<24}{name:<12}{found['per_second_and_core']:>12}{found['p50_ms']:>9}"
                f"{found['p99_ms']:>9}{found['server_us']:>9}{found['audience_core']:>10.0%}"
            )
        lines += ["", *_verdicts(row), ""]
    return "\n".join(lines)


def _verdicts(row: dict[str, Any]) -> list[str]:
    ours, ratio = row["systems"]["ours"]["per_second_and_core"], row["ours_to_socketio"]
    said = "Socket.IO holds no rate" if ratio is None else f"{ratio:.2f} × Socket.IO"
    reached = bool(ours) and (ratio is None or ratio >= _TO_SOCKETIO)
    return [
        f"  ours: {said} (≥ {_TO_SOCKETIO:g}: {'reached' if reached else 'MISSED'})",
        f"  ours: {ours} per second and core (> {_PER_CORE:.0f}: {'reached' if ours > _PER_CORE else 'MISSED'})",
    ]


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="bench.fanout", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round; for a first look only")
    parser.add_argument("--listeners", type=int, default=10_000, help="listeners in all (10000)")
    parser.add_argument("--rounds", type=int, help="rounds over the three servers (3; quick: 1)")
    parser.add_argument("--seconds", type=float, help="seconds of one probe, at least (3; quick: 1.5)")
    chosen = parser.parse_args()
    chosen.rounds = chosen.rounds or (1 if chosen.quick else 3)
    chosen.seconds = chosen.seconds or (1.5 if chosen.quick else 3.0)
    return chosen


def main() -> None:
    """Measure, print, and keep the result."""
    signal.signal(signal.SIGTERM, _stop)
    chosen = options()
    machine = facts(_PACKAGES)
    with tempfile.TemporaryDirectory(prefix="tenfold-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        document = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine,
            "node": subprocess.check_output(["node", "--version"], text=True).strip(),
            "socketio": json.loads((SOCKETIO / "package.json").read_text())["dependencies"]["socket.io"],
            "scenarios": measure(chosen, folder),
        }
    say("")
    say(table(document))
    say(f"Kept in {_keep(document, is_full=not chosen.quick and chosen.listeners >= 10_000)} and the .json beside it.")


def _keep(document: dict[str, Any], *, is_full: bool) -> Path:
    folder = RESULTS if is_full else RESULTS / "local"
    folder.mkdir(parents=True, exist_ok=True)
    name = datetime.now(UTC).strftime("fanout-%Y%m%d-%H%M%S")
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    path = folder / f"{name}.txt"
    path.write_text(table(document))
    return path


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def _stop(*_: object) -> NoReturn:
    raise SystemExit("stopped before the end; nothing is kept")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("stopped before the end; nothing is kept") from None
